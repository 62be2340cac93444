"""aiohttp, which reads lines; what an event is takes four more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from benchmarks.recording import run_request
from benchmarks.replay import release


@asynccontextmanager
async def stream(url: str, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """A stream's dicts."""
    wanted = run_request(f"{events} events", stream=True)
    async with aiohttp.ClientSession(url) as session:

        async def work() -> int:
            async with session.post("/api/v1/run/stream", json=wanted) as response:
                return await _count(response)

        await _request(session)
        yield work


@asynccontextmanager
async def streams(url: str, streams: int, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Streams at once, the first event of each read."""
    wanted = run_request(f"{events} held events", stream=True)
    async with (
        aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session,
        AsyncExitStack() as stack,
    ):
        opened = [
            await stack.enter_async_context(session.post("/api/v1/run/stream", json=wanted)) for _ in range(streams)
        ]
        for response in opened:
            while not (await response.content.readline()).startswith(b"data:"):
                pass

        async def work() -> int:
            release(url)
            return sum(await asyncio.gather(*map(_count, opened)))

        yield work


@asynccontextmanager
async def request(url: str, count: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """`post` and `json()`."""
    async with aiohttp.ClientSession(url) as session:

        async def work() -> int:
            for _ in range(count):
                await _request(session)
            return count

        await _request(session)
        yield work


async def _request(session: aiohttp.ClientSession) -> None:
    async with session.post("/api/v1/run", json=run_request("create a report")) as response:
        await response.json()


async def _count(response: aiohttp.ClientResponse) -> int:
    count = 0
    async for line in response.content:
        if line.startswith(b"data:"):
            json.loads(line[5:])
            count += 1
    return count
