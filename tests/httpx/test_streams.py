"""Streams on a real socket: how they end, whichever side ends them, and that nothing is left open."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from hestiaos import AsyncClient, Client, GovernanceBlock, LocalProtocolError, StreamEvent, TimedOut
from tests.support.broad import LOOPS
from tests.support.expecting import within
from tests.support.http_library import http as httpx
from tests.support.leftovers import left_over, open_things
from tests.support.wire import STREAM_HEAD

BACKENDS = pytest.mark.parametrize("backend", LOOPS)
TYPES = ["start", "token", "token", "token", "final", "done"]
SOON = 20.0  # seconds; far below what the servers here would take by themselves


@pytest.fixture
def slow_url(serve_platform: Callable[..., str]) -> str:
    """A server whose streams stand still, but for heartbeats, after their first event."""
    return serve_platform(token_delay=3600.0, heartbeat=0.05)


@pytest.fixture
def silent_url(serve_platform: Callable[..., str]) -> str:
    """A server whose streams are silent after their first event."""
    return serve_platform(token_delay=3600.0, heartbeat=3600.0)


def until(true: Callable[[], bool]) -> None:
    """Poll for what becomes true in another thread."""
    end = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.001)


def test_a_stream_gives_its_events_its_text_and_its_final(server_url: str) -> None:
    with Client(server_url) as client, client.run_stream("a b") as stream:
        assert stream.text == ""
        assert stream.final is None
        events = list(stream)
        assert list(stream) == []
    assert [event.type for event in events] == TYPES
    assert stream.text == "processed: a b"
    assert stream.final is not None
    assert stream.final["result"] == stream.text


@BACKENDS
def test_an_asynchronous_stream_gives_its_events_its_text_and_its_final(server_url: str, backend: str) -> None:
    async def main() -> None:
        async with AsyncClient(server_url) as client, client.run_stream("a b") as stream:
            events = [event async for event in stream]
            assert [event async for event in stream] == []
        assert [event.type for event in events] == TYPES
        assert stream.text == "processed: a b"
        assert stream.final is not None

    anyio.run(main, backend=backend)


def test_a_refusal_comes_with_the_first_event(server_url: str) -> None:
    with Client(server_url) as client:
        stream = client.run_stream("rm -rf /")
        with pytest.raises(GovernanceBlock):
            next(stream)
        with pytest.raises(GovernanceBlock):
            next(stream)
        assert client.run("a").result == "processed: a"


@pytest.mark.parametrize("how", ["close", "break", "with", "cancel"])
def test_a_stream_that_is_left_early_serves_the_next_call(slow_url: str, how: str) -> None:
    with Client(slow_url) as client:
        for _ in range(3):
            stream = client.run_stream("a")
            assert next(stream).type == "start"
            if how == "with":
                with stream:
                    pass
            elif how == "break":
                del stream
            else:
                getattr(stream, how)()
        gc.collect()
        assert client.run("a").result == "processed: a"


def test_a_closed_stream_raises(slow_url: str) -> None:
    with Client(slow_url) as client:
        stream = client.run_stream("a")
        next(stream)
        stream.close()
        stream.close()
        with pytest.raises(LocalProtocolError, match="closed"):
            next(stream)


@pytest.mark.parametrize("how", ["cancel", "event"])
@pytest.mark.parametrize("url", ["slow_url", "silent_url"])
def test_a_blocked_reader_is_cancelled(request: pytest.FixtureRequest, url: str, how: str) -> None:
    event = threading.Event()
    with Client(request.getfixturevalue(url), retries=3) as client:
        stream = client.run_stream("a", cancel=event if how == "event" else None)
        received: list[StreamEvent] = []
        begun = threading.Event()

        def read() -> None:
            for each in stream:
                received.append(each)
                begun.set()

        before = open_things()
        reader = threading.Thread(target=read)
        reader.start()
        assert begun.wait(SOON)
        stream.cancel() if how == "cancel" else event.set()
        reader.join(SOON)
        assert not reader.is_alive()
        assert [each.type for each in received] == ["start"]
        assert left_over(before) == set()
        assert list(stream) == []


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_a_reader_at_a_unix_socket_of_a_given_transport_is_cancelled(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        transport = httpx.HTTPTransport(uds=str(tmp_path / "socket"))
        with Client(transport=transport) as client:
            stream = client.run_stream("a")
            events: list[StreamEvent] = []
            reader = threading.Thread(target=lambda: events.extend(stream))
            reader.start()
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(STREAM_HEAD)
                until(lambda: stream.response is not None)
                stream.cancel()
                reader.join(SOON)
                assert not reader.is_alive()
        assert events == []


@pytest.mark.parametrize("status", [200, 500])
def test_a_reader_is_cancelled_inside_of_a_body(status: int) -> None:
    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"{"
            stream.cancel()  # another thread does, and what can be read ends there

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"Content-Type": "application/json"}, stream=Body())

    with Client(transport=httpx.MockTransport(answer)) as client:
        stream = client.run_stream("a")
        assert list(stream) == []


def test_a_stream_that_is_cancelled_before_it_begins_sends_nothing(server_url: str) -> None:
    event = threading.Event()
    event.set()
    with Client(server_url) as client:
        before = client.system.metrics().requests_total
        assert list(client.run_stream("a", cancel=event)) == []
        stream = client.run_stream("a")
        stream.cancel()
        assert list(stream) == []
        after = client.system.metrics().requests_total
    assert before is not None
    assert after == before + 1


@pytest.mark.parametrize("url", ["slow_url", "silent_url"])
def test_the_timeout_ends_the_whole_stream(request: pytest.FixtureRequest, url: str) -> None:
    def bounded(seconds: float) -> None:
        with Client(request.getfixturevalue(url)) as client:
            stream = client.run_stream("a", timeout=seconds)
            assert next(stream).type == "start"
            with pytest.raises(TimedOut):
                next(stream)

    within(0.3, bounded)


@BACKENDS
@pytest.mark.parametrize("url", ["slow_url", "silent_url"])
def test_the_timeout_ends_the_whole_asynchronous_stream(request: pytest.FixtureRequest, url: str, backend: str) -> None:
    async def main(seconds: float) -> None:
        async with AsyncClient(request.getfixturevalue(url)) as client:
            stream = client.run_stream("a", timeout=seconds)
            assert (await anext(stream)).type == "start"
            with pytest.raises(TimedOut, match=f"{seconds:g} s"):
                await anext(stream)
            assert (await client.run_async("a")).result == "processed: a"

    within(0.3, lambda seconds: anyio.run(main, seconds, backend=backend))


def test_heartbeats_keep_a_read_from_timing_out(slow_url: str) -> None:
    def bounded(seconds: float) -> None:
        with Client(slow_url, timeout=seconds / 3) as client:
            stream = client.run_stream("a", timeout=seconds)
            next(stream)
            with pytest.raises(TimedOut, match=f"{seconds:g} s"):  # the stream's own end, not the shorter one of a read
                next(stream)

    within(0.6, bounded)


@BACKENDS
@pytest.mark.parametrize("how", ["aclose", "dropped", "with", "cancelled"])
def test_an_asynchronous_stream_that_is_left_early_serves_the_next_call(
    silent_url: str, how: str, backend: str
) -> None:
    async def main() -> None:
        async with AsyncClient(silent_url) as client:
            for _ in range(3):
                stream = client.run_stream("a")
                assert (await anext(stream)).type == "start"
                if how == "with":
                    async with stream:
                        pass
                elif how == "aclose":
                    await stream.aclose()
                elif how == "cancelled":
                    with anyio.move_on_after(0.05) as scope:
                        await anext(stream)
                    assert scope.cancelled_caught
                    with pytest.raises(LocalProtocolError, match="closed"):
                        await anext(stream)
                del stream
            gc.collect()
            assert (await client.run_async("a")).result == "processed: a"

    anyio.run(main, backend=backend)


@BACKENDS
def test_two_tasks_cannot_read_one_stream(silent_url: str, backend: str) -> None:
    async def main() -> None:
        async with AsyncClient(silent_url) as client, client.run_stream("a") as stream:
            await anext(stream)
            async with anyio.create_task_group() as tasks:

                async def wait() -> None:
                    with contextlib.suppress(StopAsyncIteration):
                        await anext(stream)

                tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                with pytest.raises(LocalProtocolError, match="read already"):
                    await anext(stream)
                tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)


@BACKENDS
def test_a_loop_may_end_in_the_middle_of_a_stream(slow_url: str, backend: str) -> None:
    client = AsyncClient(slow_url)

    async def main() -> object:
        stream = client.run_stream("a")
        await anext(stream)
        return stream

    left = anyio.run(main, backend=backend)
    assert left is not None
    del left
    gc.collect()


@pytest.mark.parametrize("cancel", [5, b"x", True, threading.Event, lambda: False], ids=repr)
def test_wrong_types_of_a_cancel_event(cancel: Any) -> None:
    with Client() as client, pytest.raises(TypeError, match=r"^cancel must be a threading\.Event or None, not "):
        client.run_stream("x", cancel=cancel)


def test_an_event_of_processes_can_cancel_a_stream() -> None:
    event = multiprocessing.get_context("spawn").Event()
    event.set()
    with Client() as client:
        assert list(client.run_stream("x", cancel=event)) == []
