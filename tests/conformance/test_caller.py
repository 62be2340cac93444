"""The table "The caller"."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, TypeVar

import anyio
import pytest

from hestiaos import LocalProtocolError, StreamEvent
from tests.support.bindings import ASYNC, BINDINGS, BLOCKING, HttpxSync, InProcess
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import SECRET, Session
from tests.support.steps import Script, interrupt, send, silence
from tests.support.wire import START, STREAM_HEAD, chunk, event

T = TypeVar("T")

SOON = 1.0  # seconds; ten times what is promised
UNENDING: Script = [send(STREAM_HEAD + chunk(event(START))), silence]


@fault("`break` after one event; the object dropped; `close()` twice; iterating after close")
@pytest.mark.parametrize("how", ["break", "drop", "with", "close"])
def test_left_early(binding: type[Session], how: str) -> None:
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
def test_closed_before_it_began(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        stream = session.stream("x")
        stream.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            stream.next()
        session.stream("x").drop()
        assert peer.connections == 0


@fault("`break` after one event; the object dropped; `close()` twice; iterating after close", (InProcess,))
def test_left_early_in_process(binding: type[Session]) -> None:
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


class CancelledAt(Generic[T]):
    """Awaits a coroutine, and calls `cancel` at its `turn`th wait, just before it."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], turn: int, cancel: Callable[[], object]) -> None:
        self._coroutine = coroutine
        self._turn = turn
        self._cancel = cancel

    def __await__(self) -> Generator[Any, Any, T]:
        waits = 0
        give: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            try:
                waited_for = give(value)
            except StopIteration as end:
                return end.value
            waits += 1
            if waits == self._turn:
                self._cancel()
            try:
                give, value = self._coroutine.send, (yield waited_for)
            except BaseException as error:  # it is the coroutine's to handle
                give, value = self._coroutine.throw, error


async def cancelled_by_scope(work: Callable[[], Coroutine[Any, Any, None]], turn: int) -> bool:
    """Whether it was cancelled, as anyio and trio do it: until the scope is left."""
    with anyio.CancelScope() as scope:
        await CancelledAt(work(), turn, scope.cancel)
        return scope.cancel_called
    return True


async def cancelled_by_task(work: Callable[[], Coroutine[Any, Any, None]], turn: int) -> bool:
    """Whether it was cancelled, as asyncio does it: once."""
    tasks: list[asyncio.Task[None]] = []
    called: list[bool] = []

    def cancel() -> None:
        called.append(tasks[0].cancel())

    async def body() -> None:
        await CancelledAt(work(), turn, cancel)

    tasks.append(asyncio.create_task(body()))
    with suppress(asyncio.CancelledError):
        await tasks[0]
    return bool(called)


@fault("cancelled at every await point of a call and of a stream (asyncio, trio)", ASYNC)
@pytest.mark.parametrize("what", ["call", "stream"])
@pytest.mark.parametrize("warm", [False, True], ids=["new", "kept"])
def test_cancelled_everywhere(binding: type[Session], what: str, warm: bool) -> None:
    for backend in binding.backends:
        for cancelled in (cancelled_by_scope, cancelled_by_task) if backend == "asyncio" else (cancelled_by_scope,):
            with Peer() as peer:
                anyio.run(cancel_everywhere, binding, peer.url, what, warm, cancelled, backend=backend)


async def cancel_everywhere(binding: type[Session], url: str, what: str, warm: bool, cancelled: Any) -> None:
    for turn in range(1, 1000):
        async with closing_client(binding, url, one_connection=True) as client:

            async def work() -> None:
                if what == "call":
                    await client.run_async("x")
                else:
                    assert (await read(client))[-1] == "done"

            if warm:
                await client.run_async("x")
            was_cancelled = await cancelled(work, turn)
            gc.collect()
            with anyio.fail_after(5):  # the pool has its one place again
                assert (await client.run_async("x")).result in ("r", "processed: x")
                assert (await read(client))[-1] == "done"
        if not was_cancelled:
            assert turn > 1 or not binding.remote  # in-process, a call waits for nothing
            return
    raise AssertionError("the call does not end")


@asynccontextmanager
async def closing_client(binding: type[Session], url: str, **options: Any) -> AsyncIterator[Any]:
    async with binding.async_client(url, **options) as client:
        yield client


async def read(client: Any) -> list[str]:
    return [event.type async for event in client.run_stream("x")]


@fault(
    "cancelled at every await point of a call and of a stream (asyncio, trio)",
    tuple(each for each in ASYNC if each.remote),
)
def test_many_cancelled_at_once(binding: type[Session]) -> None:
    async def main(url: str) -> None:
        async with binding.async_client(url) as client:
            async with anyio.create_task_group() as tasks:
                for number in range(32):
                    tasks.start_soon(client.run_async if number % 2 else take_one, *(["x"] if number % 2 else [client]))
                await anyio.to_thread.run_sync(peer.wait_for_requests, 32)
                tasks.cancel_scope.cancel()
            await anyio.to_thread.run_sync(peer.wait_until_left, 32)
            async with anyio.create_task_group() as tasks:
                for _ in range(100):  # as many as the pool has places
                    tasks.start_soon(client.run_async, "x")

    with Peer(*[[silence]] * 32) as peer:
        anyio.run(main, peer.url, backend=binding.backends[0])
        assert len(peer.requests) == 132


async def take_one(client: Any) -> None:
    await anext(client.run_stream("x"))


def blocked(session: Session, peer: Peer, script: Script, event: threading.Event | None) -> tuple[Any, Any, list[Any]]:
    """A stream, the thread that is blocked in it, and what it receives."""
    peer.add(script)
    stream = session.stream("x", **({} if event is None else {"cancel": event})).native
    received: list[StreamEvent | BaseException] = []
    before = len(peer.requests)

    def read() -> None:
        try:
            for each in stream:
                received.append(each)
        except BaseException as error:
            received.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    peer.wait_for_requests(before + 1)
    return stream, thread, received


@fault("`stream.cancel()` and the `threading.Event` while blocked in a read", BLOCKING)
@pytest.mark.parametrize("how", ["cancel", "event"])
@pytest.mark.parametrize("where", ["body", "head"])
def test_cancelled_while_blocked(binding: type[Session], how: str, where: str) -> None:
    with Peer() as peer, binding(peer.url, retries=3) as session:
        for _ in range(3):
            event = threading.Event() if how == "event" else None
            stream, thread, received = blocked(session, peer, UNENDING if where == "body" else [silence], event)
            wait_until(received, 1 if where == "body" else 0)
            begun = time.monotonic()
            stream.cancel() if event is None else event.set()
            thread.join(SOON)
            assert not thread.is_alive()
            assert time.monotonic() - begun < SOON
            assert [getattr(each, "type", each) for each in received] == (["start"] if where == "body" else [])
            assert list(stream) == []
        peer.wait_until_left(3)
        assert session.call("run", "x").result == "r"
        assert len(peer.requests) == 4


@fault("`stream.cancel()` and the `threading.Event` while blocked in a read", BLOCKING)
@pytest.mark.parametrize("how", ["cancel", "event"])
def test_cancelled_while_blocked_on_a_kept_connection(binding: type[Session], how: str) -> None:
    with Peer() as peer, binding(peer.url, timeout=2 * SOON) as session:
        session.call("run", "x")
        event = threading.Event() if how == "event" else None
        stream, thread, received = blocked(session, peer, [silence], event)
        stream.cancel() if event is None else event.set()
        thread.join(SOON)
        late = thread.is_alive()
        thread.join()
        assert not late
        assert received == []
        assert session.call("run", "x").result == "r"


def wait_until(received: list[Any], count: int) -> None:
    """Wait until so much has been received."""
    end = time.monotonic() + 10
    while len(received) < count:
        assert time.monotonic() < end
        threading.Event().wait(0.001)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C is heard, also where a shell has started the tests in the background and turned it off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@fault("Ctrl-C while blocked")
@pytest.mark.usefixtures("interruptible")
def test_interrupted(binding: type[Session]) -> None:
    with Peer([interrupt, silence]) as peer:
        with pytest.raises(KeyboardInterrupt):
            binding.call_in_main_thread(peer.url)
        gc.collect()
        peer.wait_until_left(1)
        assert len(peer.requests) == 1


@fault("the client used after close", BINDINGS)
def test_used_after_close(binding: type[Session]) -> None:
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
                assert (await read(client))[-1] == "done"
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


KEYS = {
    "../x": "..%2Fx",
    "a/b?c#d": "a%2Fb%3Fc%23d",
    "..": "%2E%2E",
    ".": "%2E",
    "%2F": "%252F",
    "a b+c": "a%20b%2Bc",
    "\0\r\n": "%00%0D%0A",
    "ключ 🔑": "%D0%BA%D0%BB%D1%8E%D1%87%20%F0%9F%94%91",
}


@fault("input with a lone surrogate, NUL, 10 MiB; keys `../x`, `a/b?c#d`, empty, emoji")
def test_keys(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        for key, escaped in KEYS.items():
            assert session.call("get_secret", key) == "v"
            assert peer.requests[-1].target == f"/api/secrets/{escaped}"
            session.call("delete_secret", key)
            assert peer.requests[-1].target == f"/api/secrets/{escaped}"
        assert len(peer.requests) == 2 * len(KEYS)
        assert peer.connections == 1


@fault("input with a lone surrogate, NUL, 10 MiB; keys `../x`, `a/b?c#d`, empty, emoji")
def test_inputs(binding: type[Session]) -> None:
    inputs = {"\0": 6, "🔑\u2028": 7, "x" * (10 * 1024 * 1024): 10 * 1024 * 1024, "": 0}
    with Peer() as peer, binding(peer.url) as session:
        for text in inputs:
            assert session.call("run", text).result == "r"
            assert session.stream(text).read()[1] is None
            for request in peer.requests[-2:]:
                assert json.loads(request.body)["input"] == text
        assert len(peer.requests) == 2 * len(inputs)
        assert peer.connections == 1


@fault("input with a lone surrogate, NUL, 10 MiB; keys `../x`, `a/b?c#d`, empty, emoji", BINDINGS)
def test_what_cannot_be_encoded(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        for operation, *args in (
            ("run", "a\ud800b"),
            ("chat", "\udfff"),
            ("get_secret", ""),
            ("get_secret", "\ud800"),
            ("set_secret", "", SECRET),
            ("set_secret", "key", SECRET + "\ud800"),
            ("trace", ""),
        ):
            with pytest.raises(ValueError) as wrong:  # noqa: PT011  # what it says is looked at below
                session.call(operation, *args)
            assert SECRET not in repr(wrong.value)
            assert "surrogate" in str(wrong.value) or "empty" in str(wrong.value)
        with pytest.raises(ValueError, match="surrogate"):
            session.stream("\ud800").next()
        assert peer.connections == 0


@fault("input with a lone surrogate, NUL, 10 MiB; keys `../x`, `a/b?c#d`, empty, emoji", (InProcess,))
def test_keys_and_inputs_in_process(binding: type[Session]) -> None:
    with binding("http://localhost") as session:
        for key in KEYS:
            session.call("set_secret", key, SECRET)
            assert session.call("get_secret", key) == SECRET
        for text in "\0", "🔑\u2028", "x" * (10 * 1024 * 1024):
            assert session.call("run", text).result == f"processed: {text}"
