"""Bare httpx: the bytes of a stream without a look at them, and a request with its JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx

from benchmarks.recording import run_request, size
from benchmarks.replay import release

_RUN, _STREAM = "/api/v1/run", "/api/v1/run/stream"


@contextmanager
def stream(url: str, events: int, pace: str = "") -> Iterator[Callable[[], int]]:
    """Read a stream's bytes."""
    wanted = run_request(f"{events} {pace}events", stream=True)
    with httpx.Client(base_url=url) as client:

        def work() -> int:
            received = 0
            with client.stream("POST", _STREAM, json=wanted) as response:
                for piece in response.iter_raw():
                    received += len(piece)
            return events if received == size(events) else 0

        client.post(_RUN, json=run_request("warm up")).json()
        yield work


@asynccontextmanager
async def async_stream(url: str, events: int, pace: str = "") -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Read a stream's bytes."""
    wanted = run_request(f"{events} {pace}events", stream=True)
    async with httpx.AsyncClient(base_url=url) as client:

        async def work() -> int:
            received = 0
            async with client.stream("POST", _STREAM, json=wanted) as response:
                async for piece in response.aiter_raw():
                    received += len(piece)
            return events if received == size(events) else 0

        (await client.post(_RUN, json=run_request("warm up"))).json()
        yield work


@asynccontextmanager
async def async_streams(url: str, streams: int, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Streams at once, the first piece of each read."""
    wanted = run_request(f"{events} held events", stream=True)
    async with httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=None)) as client:
        opened: list[AsyncIterator[bytes]] = []
        received = 0
        for _ in range(streams):
            response = await client.send(client.build_request("POST", _STREAM, json=wanted), stream=True)
            opened.append(response.aiter_raw())
            received += len(await anext(opened[-1]))

        async def work() -> int:
            release(url)
            rest = await asyncio.gather(*map(_size, opened))
            return streams * (events - 1) if received + sum(rest) == streams * size(events) else 0

        yield work


async def _size(pieces: AsyncIterator[bytes]) -> int:
    received = 0
    async for piece in pieces:
        received += len(piece)
    return received


@contextmanager
def request(url: str, count: int) -> Iterator[Callable[[], int]]:
    """`post` and `json()`."""
    with httpx.Client(base_url=url) as client:

        def work() -> int:
            for _ in range(count):
                client.post(_RUN, json=run_request("create a report")).json()
            return count

        client.post(_RUN, json=run_request("warm up")).json()
        yield work


@asynccontextmanager
async def async_request(url: str, count: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """`post` and `json()`."""
    async with httpx.AsyncClient(base_url=url) as client:

        async def work() -> int:
            for _ in range(count):
                (await client.post(_RUN, json=run_request("create a report"))).json()
            return count

        (await client.post(_RUN, json=run_request("warm up"))).json()
        yield work
