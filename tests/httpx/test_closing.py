"""Closing a client or a stream while others read from it, wait for it, or are about to: each of them gets an error."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from hestiaos import AsyncClient, Client, HestiaError, LocalProtocolError
from hestiaos_proto._event_streams import EventStreamBase
from tests.support.broad import LOOPS
from tests.support.http_library import http as httpx
from tests.support.peer import Peer
from tests.support.steps import Connection, send, silence
from tests.support.wire import DONE, FINAL, LAST_CHUNK, START, STREAM_HEAD, TOKEN, chunk, event, response

BACKENDS = pytest.mark.parametrize("backend", LOOPS)
PATIENCE = 30.0  # seconds; far below what anything here would wait for by itself
BEGUN = send(STREAM_HEAD + chunk(event(START)))
REST = send(chunk(event(TOKEN)) + chunk(event(FINAL)) + chunk(event(DONE)) + LAST_CHUNK)
HALF = send(response(200, b"{", length=10))
CLOSED = "the client was closed during the call"


async def outcome(of: Awaitable[Any]) -> HestiaError | None:
    try:
        await of
    except HestiaError as error:
        return error
    return None


def until(true: Callable[[], bool]) -> None:
    """Poll for what becomes true in another thread."""
    for _ in range(int(PATIENCE / 0.001)):
        if true():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it does not come true")


def waits(thread: threading.Thread, *names: str) -> bool:
    """Whether a thread waits, in one of the functions with these names."""
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code.co_qualname in names


@BACKENDS
def test_a_client_is_closed_while_its_streams_are_read(backend: str) -> None:
    async def main(peer: Peer) -> None:
        errors: list[HestiaError | None] = []
        client = AsyncClient(peer.url, retries=0, timeout=3600.0)

        async def read(index: int) -> None:
            stream = client.run_stream("x")
            assert (await anext(stream)).type == "start"
            begun[index].set()
            errors.append(await outcome(anext(stream)))

        async def run() -> None:
            errors.append(await outcome(client.run_async("x")))

        begun = [anyio.Event(), anyio.Event()]
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for index in range(2):
                    tasks.start_soon(read, index)
                    await begun[index].wait()
                tasks.start_soon(run)
                await anyio.to_thread.run_sync(peer.wait_for_requests, 3)
                await client.health_async()  # whose connection is idle then
                await anyio.wait_all_tasks_blocked()
                await client.aclose()
            await anyio.to_thread.run_sync(peer.wait_until_left, 4)
        assert [(type(error), error and error.message) for error in errors] == [(LocalProtocolError, CLOSED)] * 3

    with Peer([BEGUN, silence], [BEGUN, silence], [HALF, silence]) as peer:
        anyio.run(main, peer, backend=backend)


def test_a_cancellation_does_not_end_the_closing() -> None:
    async def main(peer: Peer) -> None:
        client = AsyncClient(peer.url)
        await asyncio.gather(*[client.health_async() for _ in range(4)])
        assert peer.connections == 4
        closing = asyncio.create_task(client.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await asyncio.to_thread(peer.wait_until_left, 4)

    with Peer() as peer:
        asyncio.run(main(peer))


@BACKENDS
@pytest.mark.parametrize(
    "script",
    [[silence], [send(response(503, b"", "Retry-After: 50"))], [BEGUN, silence]],
    ids=["before the head", "before a repeat", "after the head"],
)
def test_a_stream_is_closed_by_another_task(script: list[Any], backend: str) -> None:
    async def main(peer: Peer) -> None:
        errors: list[HestiaError | None] = []

        async def read() -> None:
            async def all_of_it() -> None:
                async for _ in stream:
                    pass

            errors.append(await outcome(all_of_it()))

        async with AsyncClient(peer.url, limits=httpx.Limits(max_connections=1)) as client:
            stream = client.run_stream("x")
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(read)
                    await anyio.to_thread.run_sync(peer.wait_for_requests, 1)
                    await anyio.wait_all_tasks_blocked()
                    await stream.aclose()
            assert [str(error) for error in errors] == ["[LOCAL_PROTOCOL_ERROR] the stream is closed: start another"]
            assert len(peer.requests) == 1
            assert (await client.health_async()).status == "ok"

    with Peer(script) as peer:
        anyio.run(main, peer, backend=backend)


@BACKENDS
def test_a_stream_that_is_closed_at_any_moment_releases_its_connection(backend: str) -> None:
    async def main(peer: Peer) -> None:
        async with AsyncClient(peer.url, timeout=PATIENCE, limits=httpx.Limits(max_connections=1)) as client:
            for turns in range(30):
                stream = client.run_stream("x")
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(outcome, anext(stream))
                    for _ in range(turns):
                        await anyio.lowlevel.checkpoint()
                    await stream.aclose()
                assert (await client.health_async()).status == "ok"

    with Peer() as peer:
        anyio.run(main, peer, backend=backend)


def test_threads_raise_when_their_client_is_closed() -> None:
    places = 3
    with (
        Peer([BEGUN, silence], [silence], [HALF, silence]) as peer,
        ThreadPoolExecutor(places) as readers,
        Client(peer.url, retries=0, timeout=3600.0, limits=httpx.Limits(max_connections=places)) as client,
    ):
        stream = client.run_stream("x")
        assert next(stream).type == "start"
        reading = [readers.submit(next, stream), readers.submit(client.run, "x"), readers.submit(client.run, "x")]
        peer.wait_for_requests(places)
        messages: list[str] = []

        def wait() -> None:
            with pytest.raises(LocalProtocolError) as caught:
                client.health()
            messages.append(caught.value.message)

        waiting = [threading.Thread(target=wait) for _ in range(2)]
        for thread in waiting:
            thread.start()
            until(lambda thread=thread: waits(thread, "Scope._wait_for"))
        client.close()
        errors = [each.exception(PATIENCE) for each in reading]
        assert [(type(error), error.message) for error in errors] == [(LocalProtocolError, CLOSED)] * places
        for thread in waiting:
            thread.join(PATIENCE)
        assert messages == ["the client was closed while the call waited for a connection"] * 2
        peer.wait_until_left(places)


def test_a_stream_that_waits_for_its_retry_raises_when_its_client_is_closed() -> None:
    with Peer([send(response(503, b"", "Retry-After: 1"))]) as peer, Client(peer.url) as client:
        messages: list[str] = []

        def read() -> None:
            with pytest.raises(LocalProtocolError) as caught:
                next(client.run_stream("x"))
            messages.append(caught.value.message)

        reader = threading.Thread(target=read)
        reader.start()
        peer.wait_for_requests(1)
        until(lambda: waits(reader, "sleep"))
        client.close()
        reader.join(PATIENCE)
        assert messages == ["the client is closed: make a new one"]
        assert len(peer.requests) == 1


def test_a_stream_that_another_thread_has_closed_sends_nothing() -> None:
    class ClosesMeanwhile(threading.Event):
        """Is asked for before the request is sent; the other thread had looked just before this one read."""

        def is_set(self) -> bool:
            EventStreamBase.close(stream)
            return False

    with Peer() as peer, Client(peer.url) as client:
        stream = client.run_stream("x", cancel=ClosesMeanwhile())
        with pytest.raises(LocalProtocolError, match="the stream is closed"):
            next(stream)
        assert peer.requests == []
        assert client.health().status == "ok"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # the peer is the thread
def test_a_forked_process_does_not_close_what_its_parent_uses() -> None:
    forked = threading.Event()

    def go_on_after_the_fork(connection: Connection) -> None:
        assert forked.wait(PATIENCE)

    with Peer([BEGUN, go_on_after_the_fork, REST]) as peer, Client(peer.url) as client:
        stream = client.run_stream("x")
        assert next(stream).type == "start"
        child = os.fork()
        if child == 0:
            try:
                client.close()
                os._exit(0)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        forked.set()
        assert [event.type for event in stream] == ["token", "final", "done"]
