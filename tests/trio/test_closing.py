"""Who closes a `TrioClient` or its stream while others wait: nothing more is sent, and they are told which it was."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
import trustme
from trio_peer import HEALTH, Peer, request, response, with_peer

from hestiaos import LocalProtocolError, TrioClient, TrioEventStream

STREAM_CLOSED = "the stream is closed: start another with run_stream"
WAITED = "the client was closed while this waited for a connection"
STREAM = b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {"type":"start"}\n\n'  # it goes on


@asynccontextmanager
async def one_who_reads(stream: TrioEventStream) -> AsyncIterator[None]:
    """Somebody who waits for an event, and is told that the stream is closed."""

    async def read() -> None:
        for _ in range(2):
            with pytest.raises(LocalProtocolError, match=STREAM_CLOSED):
                await anext(stream)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            yield


def test_calls_that_wait_for_a_place_are_told_that_the_client_was_closed() -> None:
    async def silent(stream: trio.SocketStream, number: int) -> None:
        await request(stream)
        await stream.send_all(STREAM)
        assert await request(stream) == b""

    async def main(peer: Peer) -> None:
        client = TrioClient(peer.url, max_connections=1)
        stream = client.run_stream("a")  # it keeps its place to the end
        assert (await anext(stream)).type == "start"

        async def wait() -> None:
            with pytest.raises(LocalProtocolError, match=WAITED):
                await client.run_async("a")

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            await client.aclose()
        await trio.testing.wait_all_tasks_blocked()  # the server has heard of all that was to hear

    assert with_peer(silent, main).connections == 1


def test_a_connection_that_is_made_while_the_client_is_closed_is_not_used() -> None:
    authority = trustme.CA()
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server_context)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    closed, ended = trio.Event(), trio.Event()

    async def greet_late(stream: trio.SocketStream, number: int) -> None:
        await closed.wait()
        tls = trio.SSLStream(stream, server_context, server_side=True, https_compatible=True)
        with suppress(trio.BrokenResourceError):  # the client may end without having read the session tickets
            assert await request(tls) == b""
        ended.set()

    async def main(peer: Peer) -> None:
        client = TrioClient(peer.url.replace("http:", "https:"), ssl_context=context)

        async def call() -> None:
            with pytest.raises(LocalProtocolError, match=WAITED):
                await client.health_async()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(call)
            while not peer.connections:
                await trio.testing.wait_all_tasks_blocked()
            await client.aclose()
            closed.set()
            await ended.wait()

    with_peer(greet_late, main)


def test_a_stream_may_be_closed_while_it_waits_for_an_event(serve_platform: Callable[..., str]) -> None:
    url = serve_platform(token_delay=3600.0, heartbeat=3600.0)

    async def main() -> None:
        async with TrioClient(url, max_connections=1) as client:
            stream = client.run_stream("a")
            assert (await anext(stream)).type == "start"
            async with one_who_reads(stream):
                await stream.aclose()
            assert (await client.run_async("a")).result == "processed: a"

    trio.run(main)


def test_a_stream_may_be_closed_before_its_head_has_come() -> None:
    heard = trio.Event()

    async def silent(stream: trio.SocketStream, number: int) -> None:
        await request(stream)
        heard.set()
        assert await request(stream) == b""

    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url) as client:
            stream = client.run_stream("a")
            async with one_who_reads(stream):
                await heard.wait()
                await stream.aclose()

    assert with_peer(silent, main).connections == 1


def test_a_stream_that_is_closed_in_the_backoff_is_not_sent_again() -> None:
    async def busy(stream: trio.SocketStream, number: int) -> None:
        await request(stream)
        await stream.send_all(b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url) as client:
            stream = client.run_stream("a")
            async with one_who_reads(stream):
                await trio.sleep(1)
                await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()

    # The clock jumps when nothing else can run: one second later the 503 has been read.
    clock = trio.testing.MockClock(rate=0, autojump_threshold=0.2)
    assert with_peer(busy, main, clock=clock).connections == 1


def test_a_stream_that_is_closed_while_it_waits_for_a_place_is_not_sent() -> None:
    targets: list[bytes] = []

    async def stream_or_health(stream: trio.SocketStream, number: int) -> None:
        while data := await request(stream):
            targets.append(data.split()[1])
            await stream.send_all(STREAM if targets[-1].endswith(b"stream") else response(HEALTH))

    async def main(peer: Peer) -> None:
        async with TrioClient(peer.url, max_connections=1) as client:
            first, second = client.run_stream("a"), client.run_stream("b")
            assert (await anext(first)).type == "start"
            async with one_who_reads(second):
                await second.aclose()
                await first.aclose()
            assert (await client.health_async()).status == "ok"

    peer = with_peer(stream_or_health, main)
    assert targets == [b"/api/v1/run/stream", b"/api/v1/health"]
    assert peer.connections == 2  # the second was made for the second stream, and was given back
