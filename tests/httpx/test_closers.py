"""Both ways of closing end what was opened in both ways: by threads, and in event loops of several threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from hestiaos import AsyncClient, Client, LocalProtocolError
from tests.support.leftovers import left_over, open_things
from tests.support.peer import Peer
from tests.support.steps import send, silence
from tests.support.wire import START, STREAM_HEAD, chunk, event

PATIENCE = 30.0
CLOSED = "the client was closed during the call"


@pytest.fixture(autouse=True)
def leaves_nothing() -> Iterator[None]:
    before = open_things()
    yield
    assert left_over(before) == set()


def close(client: Any) -> None:
    client.close()


def close_in_a_loop(client: Any) -> None:
    asyncio.run(client.aclose())


def close_in_trio(client: Any) -> None:
    anyio.run(client.aclose, backend="trio")


def leave(client: Any) -> None:
    with client:
        pass


def leave_in_a_loop(client: Any) -> None:
    async def main() -> None:
        async with client:
            pass

    asyncio.run(main())


CLOSERS = [close, close_in_a_loop, close_in_trio, leave, leave_in_a_loop]


@pytest.mark.parametrize("closer", CLOSERS)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_closing_ends_everything_that_is_open(kind: type[Client | AsyncClient], closer: Callable[[Any], None]) -> None:
    """Idle connections, streams that are read and streams that are not, of a thread and of two kinds of event loops."""
    with Peer() as peer, ExitStack() as stack:
        client = kind(peer.url, retries=0, timeout=3600.0)
        portals = [stack.enter_context(start_blocking_portal(backend)) for backend in ("asyncio", "trio")]
        readers: list[Future[Any] | threading.Thread] = []

        async def read(stream: Any) -> None:
            with pytest.raises(LocalProtocolError, match=CLOSED):
                await anext(stream)

        assert client.run("x").result == "r"
        for portal in portals:
            assert portal.call(client.run_async, "x").result == "r"
        peer.add(*[[send(STREAM_HEAD + chunk(event(START))), silence]] * 4)
        if isinstance(client, AsyncClient):
            for portal in portals:
                for reads in True, False:
                    events = client.run_stream("x")
                    assert portal.call(anext, events).type == "start"
                    if reads:
                        readers.append(portal.start_task_soon(read, events))
                    else:
                        stack.callback(portal.call, read, events)
        else:
            for reads in True, False:
                stream = client.run_stream("x")
                assert next(stream).type == "start"

                def read_here(stream: Any = stream) -> None:
                    with pytest.raises(LocalProtocolError, match=CLOSED):
                        next(stream)

                if reads:
                    readers.append(threading.Thread(target=read_here))
                    readers[-1].start()
                else:
                    stack.callback(read_here)
        closer(client)
        for each in readers:
            each.join(PATIENCE) if isinstance(each, threading.Thread) else each.result(PATIENCE)
        peer.wait_until_left(peer.connections)
        with pytest.raises(LocalProtocolError, match="the client is closed: make a new one"):
            client.run("x")
        for portal in portals:
            with pytest.raises(LocalProtocolError, match="the client is closed: make a new one"):
                portal.call(client.run_async, "x")


@pytest.mark.parametrize("closer", CLOSERS)
def test_closing_after_the_event_loop_has_ended(closer: Callable[[Any], None]) -> None:
    with Peer() as peer:
        client = AsyncClient(peer.url)
        for backend in "asyncio", "trio":
            anyio.run(client.run_async, "x", backend=backend)
        assert client.run("x").result == "r"
        closer(client)
        peer.wait_until_left(peer.connections)


def test_a_client_that_is_closed_from_its_own_loop_and_by_a_thread_at_once() -> None:
    async def main(peer: Peer) -> None:
        for _ in range(20):
            client = AsyncClient(peer.url)
            await asyncio.gather(*[client.run_async("x") for _ in range(4)])
            thread = threading.Thread(target=client.close)
            thread.start()
            await client.aclose()
            await asyncio.to_thread(thread.join)

    with Peer() as peer:
        asyncio.run(main(peer))
        peer.wait_until_left(peer.connections)
