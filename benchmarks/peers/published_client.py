"""The published client 1.0.0; its process has it on its path, before this checkout."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

import hestiaos
from benchmarks.recording import pieces
from hestiaos import AsyncClient, Client

assert hestiaos.__version__ == "1.0.0", "the published client is to be on the path"


@asynccontextmanager
async def decode(events: int, piece: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Bytes to its events. Its parser is not to be had apart from httpx, so a response in memory brings the bytes."""
    data = pieces(events, piece)

    async def body() -> AsyncIterator[bytes]:
        for one in data:
            yield one

    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body()))
    async with AsyncClient("http://replay") as client:
        inside: Any = vars(client)["_transport"]
        await inside._client.aclose()
        inside._client = httpx.AsyncClient(transport=transport, base_url="http://replay")
        yield lambda: _read(client, events)


@asynccontextmanager
async def stream(url: str, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """`AsyncClient.run_stream`; its `Client` has a thread more."""
    async with AsyncClient(url) as client:
        await client.run_async("warm up")
        yield lambda: _read(client, events)


@asynccontextmanager
async def request(url: str, count: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """`AsyncClient.run_async`; its `Client` cannot make a second request."""
    async with AsyncClient(url) as client:

        async def work() -> int:
            for _ in range(count):
                await client.run_async("create a report")
            return count

        await client.run_async("warm up")
        yield work


@contextmanager
def build(count: int) -> Iterator[Callable[[], int]]:
    """A `Client`. It is not closed, for it has no way to without an event loop."""

    def work() -> int:
        for _ in range(count):
            Client("http://localhost:8000")
        return count

    yield work


async def _read(client: AsyncClient, events: int) -> int:
    count = 0
    async for _ in client.run_stream(f"{events} events"):
        count += 1
    return count
