"""A client or its stream is closed while others wait: nothing more is sent, and each gets an error that names it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from hestiaos import LocalProtocolError
from tests.support.loops import (
    HEALTH,
    STREAM,
    STREAM_CLOSED,
    WAITED,
    AnyClient,
    AnyStream,
    Binding,
    Peer,
    request,
    response,
    silent,
    until,
    with_peer,
)

BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 50\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def begin(stream: SocketStream, number: int) -> None:
    """Begin a stream, and wait until the client has gone."""
    await request(stream)
    await stream.send(STREAM)
    assert await request(stream) == b""


@asynccontextmanager
async def a_reader(stream: AnyStream) -> AsyncIterator[None]:
    """A task that waits for an event, and gets the error of a closed stream."""

    async def read() -> None:
        for _ in range(2):
            with pytest.raises(LocalProtocolError, match=STREAM_CLOSED):
                await anext(stream)

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            yield


async def expect_closed(call: Callable[[], Any], match: str) -> None:
    with pytest.raises(LocalProtocolError, match=match):
        await call()


def test_calls_that_wait_for_a_connection_raise_when_the_client_is_closed(binding: Binding) -> None:
    async def main(peer: Peer) -> None:
        client = binding.client(peer.url, max_connections=1)
        stream = client.run_stream("a")  # it keeps its place to the end
        assert (await anext(stream)).type == "start"
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(expect_closed, lambda: client.run_async("a"), WAITED)
            await anyio.wait_all_tasks_blocked()
            await client.aclose()

    assert with_peer(binding, begin, main).connections == 1


def test_calls_under_way_raise_when_the_client_is_closed(binding: Binding) -> None:
    async def main(peer: Peer) -> None:
        client = binding.client(peer.url, timeout=3600.0)
        stream = client.run_stream("a")
        left = client.run_stream("a")
        assert (await anext(stream)).type == (await anext(left)).type == "start"
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(expect_closed, stream.__anext__, "closed during the call")
            peer.handle = silent
            tasks.start_soon(expect_closed, lambda: client.run_async("a"), "closed during the call")
            await until(lambda: peer.connections == 3)
            await anyio.wait_all_tasks_blocked()
            await client.aclose()
        await expect_closed(left.__anext__, "closed during the call")  # it was not being read

    with_peer(binding, begin, main)


@pytest.mark.parametrize("who", ["client", "stream"])
def test_a_tls_handshake_ends_when_its_client_or_stream_is_closed(
    binding: Binding, trusting: ssl.SSLContext, who: str
) -> None:
    async def hear_and_say_nothing(stream: SocketStream, number: int) -> None:
        while True:
            try:
                await stream.receive()
            except anyio.EndOfStream:
                return

    async def main(peer: Peer) -> None:
        url = peer.url.replace("http:", "https:")
        async with binding.client(url, ssl_context=trusting, timeout=3600.0) as client:
            stream = client.run_stream("a")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(expect_closed, stream.__anext__, WAITED if who == "client" else STREAM_CLOSED)
                await until(lambda: peer.connections == 1)
                await anyio.wait_all_tasks_blocked()
                with anyio.fail_after(30):
                    await (client if who == "client" else stream).aclose()
            with anyio.fail_after(30):
                await until(lambda: peer.ended == 1)

    with_peer(binding, hear_and_say_nothing, main)


def test_a_stream_may_be_closed_while_it_waits_for_an_event(binding: Binding) -> None:
    async def main(peer: Peer) -> None:
        async with binding.client(peer.url, max_connections=1) as client:
            stream = client.run_stream("a")
            assert (await anext(stream)).type == "start"
            async with a_reader(stream):
                await stream.aclose()
            following = client.run_stream("a")
            assert (await anext(following)).type == "start"

    with_peer(binding, begin, main)


def test_a_stream_may_be_closed_before_its_head_has_come(binding: Binding) -> None:
    received = anyio.Event()

    async def hear(stream: SocketStream, number: int) -> None:
        await request(stream)
        received.set()
        assert await request(stream) == b""

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url) as client:
            stream = client.run_stream("a")
            async with a_reader(stream):
                await received.wait()
                await stream.aclose()

    assert with_peer(binding, hear, main).connections == 1


def test_a_stream_that_is_closed_in_the_backoff_is_not_sent_again(binding: Binding) -> None:
    async def busy(stream: SocketStream, number: int) -> None:
        await request(stream)
        await stream.send(BUSY)

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url) as client:
            stream = client.run_stream("a")
            async with a_reader(stream):
                await until(lambda: peer.ended == 1)
                await anyio.wait_all_tasks_blocked()
                await stream.aclose()
        assert peer.connections == 1

    with_peer(binding, busy, main)


def test_a_stream_that_is_closed_while_it_waits_for_a_connection_is_not_sent(binding: Binding) -> None:
    targets: list[bytes] = []

    async def stream_or_health(stream: SocketStream, number: int) -> None:
        while data := await request(stream):
            targets.append(data.split()[1])
            await stream.send(STREAM if targets[-1].endswith(b"stream") else response(HEALTH))

    async def main(peer: Peer) -> None:
        async with binding.client(peer.url, max_connections=1) as client:
            first, second = client.run_stream("a"), client.run_stream("b")
            assert (await anext(first)).type == "start"
            async with a_reader(second):
                await second.aclose()
            await first.aclose()
            assert (await client.health_async()).status == "ok"

    with_peer(binding, stream_or_health, main)
    assert targets == [b"/api/v1/run/stream", b"/api/v1/health"]


def test_a_stream_may_be_closed_twice_and_after_its_client(binding: Binding) -> None:
    async def main(peer: Peer) -> None:
        client: AnyClient = binding.client(peer.url)
        stream = client.run_stream("a")
        assert (await anext(stream)).type == "start"
        await client.aclose()
        await stream.aclose()
        await stream.aclose()
        await expect_closed(stream.__anext__, STREAM_CLOSED)

    with_peer(binding, begin, main)
