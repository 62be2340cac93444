"""The table "The caller": how clients and streams are used and left."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from hestiaos import LocalProtocolError
from tests.support.bindings import ASYNC, BINDINGS, HttpxSync, InProcess
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import Session, read_types
from tests.support.steps import Script, interrupt, send, silence
from tests.support.wire import START, STREAM_HEAD, chunk, event

UNENDING: Script = [send(STREAM_HEAD + chunk(event(START))), silence]


@fault("`break` after one event; the object dropped; `close()` twice; iterating after close")
@pytest.mark.parametrize("how", ["break", "drop", "with", "close"])
def test_a_stream_that_is_left_early(binding: type[Session], how: str) -> None:
    with Peer(*[UNENDING] * 3) as peer, binding(peer.url) as session:
        for count in range(1, 4):
            stream = session.stream("x")
            assert stream.next().type == "start"
            if how in ("break", "drop"):
                stream.drop()
            elif how == "with":
                stream.leave_with_block()
            else:
                stream.close()
                stream.close()
            peer.wait_until_left(count)
            if how not in ("break", "drop"):
                with pytest.raises(LocalProtocolError, match="closed"):
                    stream.next()
        assert session.call("run", "x").result == "r"
        assert session.stream("x").read()[1] is None
        assert len(peer.requests) == 5


@fault("`break` after one event; the object dropped; `close()` twice; iterating after close")
def test_a_stream_that_is_closed_before_its_first_event(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        stream = session.stream("x")
        stream.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            stream.next()
        session.stream("x").drop()
        assert peer.connections == 0


@fault("`break` after one event; the object dropped; `close()` twice; iterating after close", (InProcess,))
def test_a_stream_that_is_left_early_in_process(binding: type[Session]) -> None:
    with binding("http://localhost") as session:
        for leave in "drop", "leave_with_block", "close":
            stream = session.stream("x")
            assert stream.next().type == "start"
            getattr(stream, leave)()
            if leave != "drop":
                stream.close()
                with pytest.raises(LocalProtocolError, match="closed"):
                    stream.next()
        assert session.call("run", "x").result == "processed: x"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C is handled, also where a shell has started the tests in the background and turned it off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@fault("Ctrl-C while blocked")
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_a_blocked_call(binding: type[Session]) -> None:
    with Peer([interrupt, silence]) as peer:
        with pytest.raises(KeyboardInterrupt):
            binding.call_in_main_thread(peer.url)
        gc.collect()
        peer.wait_until_left(1)
        assert len(peer.requests) == 1


@fault("the client used after close", BINDINGS)
def test_a_client_that_is_used_after_close(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        assert session.call("run", "x").result in ("r", "processed: x")
        begun = session.stream("x")
        session.close_client()
        session.close_client()
        with pytest.raises(LocalProtocolError, match="closed"):
            session.call("run", "x")
        with pytest.raises(LocalProtocolError, match="closed"):
            session.stream("x").next()
        with pytest.raises(LocalProtocolError, match="closed"):
            begun.next()
        assert len(peer.requests) == (1 if binding.remote else 0)


@fault(
    "one `AsyncClient` over three `asyncio.run`; a sync call inside a running loop; the client used by 32 threads;"
    " after `os.fork`",
    ASYNC,
)
def test_several_event_loops(binding: type[Session]) -> None:
    with Peer() as peer:
        for backend in binding.backends:
            client = binding.async_client(peer.url)

            async def main(client: Any, close: bool) -> str:
                result = (await client.run_async("x")).result
                assert (await read_types(client))[-1] == "done"
                if close:
                    await client.aclose()
                return result

            for number in range(3):
                assert anyio.run(main, client, number == 2, backend=backend) in ("r", "processed: x")


@fault(
    "one `AsyncClient` over three `asyncio.run`; a sync call inside a running loop; the client used by 32 threads;"
    " after `os.fork`",
    tuple(binding for binding in BINDINGS if binding.shared),
)
def test_a_blocking_call_inside_a_running_loop(binding: type[Session]) -> None:
    with Peer() as peer:
        for backend in binding.backends or ("asyncio", "trio"):

            async def main() -> None:
                if binding.backends:
                    async with binding.async_client(peer.url) as client:
                        for _ in range(3):
                            assert client.run("x").result in ("r", "processed: x")
                            assert (await client.run_async("x")).result in ("r", "processed: x")
                else:
                    with binding(peer.url) as session:
                        for _ in range(3):
                            assert session.call("run", "x").result == "r"

            anyio.run(main, backend=backend)


@fault(
    "one `AsyncClient` over three `asyncio.run`; a sync call inside a running loop; the client used by 32 threads;"
    " after `os.fork`",
    tuple(binding for binding in BINDINGS if binding.shared),
)
def test_many_threads(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session, ThreadPoolExecutor(32) as threads:
        results = list(threads.map(lambda _: session.call("run", "x").result, range(128)))
        assert set(results) <= {"r", "processed: x"}
        if binding.remote:
            assert len(peer.requests) == 128


@fault(
    "one `AsyncClient` over three `asyncio.run`; a sync call inside a running loop; the client used by 32 threads;"
    " after `os.fork`",
    (HttpxSync, InProcess),
)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # the peer is the thread
def test_after_a_fork(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        session.call("run", "x")
        child = os.fork()
        if child == 0:
            try:
                os._exit(0 if session.call("run", "x").result in ("r", "processed: x") else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert session.call("run", "x").result in ("r", "processed: x")
        if binding.remote:
            assert len(peer.requests) == 3
