"""The table "The caller": calls and streams that are cancelled."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import anyio
import pytest

from hestiaos import StreamEvent
from tests.support.bindings import ASYNC, BLOCKING
from tests.support.cancellations import CANCELLERS, Canceller
from tests.support.peer import Peer, good_answer
from tests.support.scenario import fault
from tests.support.sessions import Session, read_types
from tests.support.steps import Request, Script, pause, send, silence
from tests.support.wire import START, STREAM_HEAD, chunk, event

SOON = 20.0  # seconds; what is promised is 100 ms, which a loaded machine may miss
UNENDING: Script = [send(STREAM_HEAD + chunk(event(START))), silence]


@fault("cancelled at every await point of a call and of a stream (asyncio, trio)", ASYNC)
@pytest.mark.parametrize("what", ["call", "stream"])
@pytest.mark.parametrize("warm", [False, True], ids=["new", "kept"])
def test_cancellation_at_every_checkpoint(binding: type[Session], what: str, warm: bool) -> None:
    for backend in binding.backends:
        for cancelled in CANCELLERS[backend]:
            with Peer(answer=answer_after_a_moment) as peer:
                anyio.run(cancel_everywhere, binding, peer.url, what, warm, cancelled, backend=backend)


def answer_after_a_moment(request: Request) -> Script:
    """So that the client waits for it: what is there already need not be waited for."""
    return [pause(0.002), *good_answer(request)]


async def cancel_everywhere(binding: type[Session], url: str, what: str, warm: bool, cancelled: Canceller) -> None:
    for turn in range(1, 1000):
        async with binding.async_client(url, one_connection=True) as client:

            async def work() -> None:
                if what == "call":
                    await client.run_async("x")
                else:
                    assert (await read_types(client))[-1] == "done"

            if warm:
                await client.run_async("x")
            was_cancelled = await cancelled(work(), turn)
            gc.collect()
            with anyio.fail_after(30):  # the pool has its one place again
                assert (await client.run_async("x")).result in ("r", "processed: x")
                assert (await read_types(client))[-1] == "done"
        if not was_cancelled:
            assert turn > 1 or not binding.remote  # in-process, a call waits for nothing
            return
    raise AssertionError("the call does not end")


@fault(
    "cancelled at every await point of a call and of a stream (asyncio, trio)",
    tuple(each for each in ASYNC if each.remote),
)
def test_cancellation_of_many_calls_at_once(binding: type[Session]) -> None:
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
def test_cancellation_of_a_blocked_call(binding: type[Session], how: str, where: str) -> None:
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
def test_cancellation_of_a_blocked_call_on_a_kept_connection(binding: type[Session], how: str) -> None:
    with Peer() as peer, binding(peer.url, timeout=3600.0) as session:
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
    end = time.monotonic() + SOON
    while len(received) < count:
        assert time.monotonic() < end
        threading.Event().wait(0.001)
