"""What may not grow, and what may be missing: descriptors, threads, cookies, and the cost of a byte."""

from __future__ import annotations

import asyncio
import gc
import gzip
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hestiaos import HestiaError, RemoteProtocolError
from hestiaos_proto import SSEDecoder
from tests.support.bindings import ASYNC, BINDINGS, HttpxSync
from tests.support.broad import broadly
from tests.support.leftovers import left_over, open_things
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import Session
from tests.support.steps import send, silence
from tests.support.wire import START, STREAM_HEAD, chunk, event, response

LOOPS = "an event loop closed without `shutdown_asyncgens`, 30 times"
THREADS = "no thread can be started (limit, interpreter exit)"
COOKIES = "100 cookies on each response"
COST = "1,000,000 empty gzip members; a payload over 100,000 data lines"


# CPython 3.13 warns of what asyncio schedules for httpx's own generator in a loop that is closed without running it.
@pytest.mark.filterwarnings("ignore:coroutine method 'aclose' of .* was never awaited:RuntimeWarning")
@fault(LOOPS, tuple(each for each in ASYNC if "asyncio" in each.backends))
@pytest.mark.parametrize("what", ["call", "stream", "held stream"])
def test_a_loop_that_is_just_closed(binding: type[Session], what: str) -> None:
    with Peer() as peer:
        before = close_many_loops(binding, peer, what)
        gc.collect()
        assert left_over(before) == set()


def close_many_loops(binding: type[Session], peer: Peer, what: str) -> set[str]:
    """Use a client in loops that are just closed. What was open before the first of them."""
    client = binding.async_client(peer.url)

    async def main() -> Any:
        await client.run_async("x")
        if what == "call":
            return None
        if what == "held stream" and binding.remote:
            peer.add([send(STREAM_HEAD + chunk(event(START))), silence])
        stream = client.run_stream("x")
        await anext(stream)
        return stream if what == "held stream" else None

    before = open_things()
    for _ in range(30):
        run_and_close(main)
    # Both ends of the last loop's connection, and the peer's thread, may be there until the client is used again.
    most = 3 if binding.remote else 0
    left = left_over(before, most)
    assert len(left) <= most, left
    asyncio.run(client.aclose())
    return before


def run_and_close(main: Any) -> None:
    loop = asyncio.new_event_loop()
    left = loop.run_until_complete(main())
    loop.close()
    del left
    gc.collect()


@contextmanager
def no_threads() -> Iterator[None]:
    """As at a limit of the system: a thread that is there goes on, a new one cannot be started."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("peer"):
            start(thread)
        else:
            raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield


@fault(THREADS, BINDINGS)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_client_where_no_thread_can_be_started(binding: type[Session], host: str) -> None:
    """What needs none works; a name that has to be looked up may need one, and then that is said."""
    with Peer() as peer, binding(peer.url.replace("127.0.0.1", host), deadline=20.0) as session:
        for ask in (lambda: session.call("run", "x")), (lambda: session.stream("x", timeout=50.0).read()):
            with no_threads():
                message = outcome(ask)
            assert message is None or (host == "localhost" and "thread" in message)
            ask()
        assert session.call("run", "x").result in ("r", "processed: x")


def outcome(ask: Callable[[], object]) -> str | None:
    """What our own exception says, if there is one."""
    try:
        ask()
    except HestiaError as error:
        return str(error)
    return None


AT_EXIT = """
import atexit, sys, threading, time
from hestiaos import Client, HestiaError
client = Client(sys.argv[1], timeout=50, deadline=50, retries=0)

def late():
    try:
        print(client.run("x").result, [event.type for event in client.run_stream("x", timeout=50)][-1])
    except HestiaError as error:
        print("failed:", error)

def after_a_while():
    time.sleep(0.3)
    late()

USED
atexit.register(late)
"""


@fault(THREADS, (HttpxSync,))
@pytest.mark.parametrize(
    "used", broadly(["client.run('x')", "", "threading.Thread(target=lambda: (time.sleep(0.3), late())).start()"])
)
def test_interpreter_exit(binding: type[Session], used: str) -> None:
    """A call while the interpreter ends has its result, or says why not; the interpreter ends."""
    with Peer() as peer:
        url = peer.url.replace("127.0.0.1", "localhost")
        program = [sys.executable, "-W", "error", "-c", AT_EXIT.replace("USED", used), url]
        done = subprocess.run(program, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.splitlines()) == {"r done"} or "thread" in done.stdout


@fault(COOKIES)
def test_cookies(binding: type[Session]) -> None:
    cookies = [f"Set-Cookie: name{number}=value{number}; Path=/" for number in range(100)]
    body = b'{"result":"r","trace_id":"t","output":null,"mode":"ALLOW","budget":1.0,"latency_ms":1.0}'
    with Peer() as peer, binding(peer.url) as session:
        for number in range(5):
            own = [f"Set-Cookie: call{number}=x", *cookies]
            peer.add([send(response(200, body, *own))], [send(response(429, body, *own))])
            assert session.call("run", "x").result == "r"
            with pytest.raises(HestiaError):
                session.stream("x").next()
        assert session.call("run", "x").result == "r"
        assert [request.headers.get("cookie") for request in peer.requests] == [None] * 11


@fault(COST)
def test_empty_gzip_members(binding: type[Session]) -> None:
    body = gzip.compress(b"") * 1_000_000
    with (
        Peer([send(response(200, body, "Content-Encoding: gzip"))]) as peer,
        binding(peer.url, timeout=30.0) as session,
    ):
        begun = time.process_time()
        with pytest.raises(RemoteProtocolError):
            session.call("run", "x")
        assert time.process_time() - begun < 4.0  # of processor time, for 20 MB
        assert session.call("run", "x").result == "r"


@pytest.mark.timing  # it compares two times
@fault(COST)
def test_many_data_lines(binding: type[Session]) -> None:
    """They cost little more than any reader of event streams spends on them."""
    lines = b"data:\n" * 1_000_000
    decoder = SSEDecoder()
    begun = time.process_time()
    for place in range(0, len(lines), 65536):
        decoder.receive_data(lines[place : place + 65536])
        list(decoder.events())
    least = time.process_time() - begun
    answer = STREAM_HEAD + chunk(event(START)) + chunk(lines + b"data: [\n\n")
    with Peer([send(answer), silence]) as peer, binding(peer.url, timeout=30.0) as session:
        reading = session.stream("x")
        assert reading.next().type == "start"
        begun = time.process_time()
        events, error = reading.read()
        spent = time.process_time() - begun
        assert events == []
        assert isinstance(error, RemoteProtocolError)
        assert spent < 5 * least + 1.0
        assert session.call("run", "x").result == "r"
