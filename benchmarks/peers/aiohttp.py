"""aiohttp, which reads lines; what an event is takes four more."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp

from benchmarks.recording import run_request


@asynccontextmanager
async def stream(url: str, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """A stream's dicts."""
    wanted = run_request(f"{events} events", stream=True)
    async with aiohttp.ClientSession(url) as session:

        async def work() -> int:
            count = 0
            async with session.post("/api/v1/run/stream", json=wanted) as response:
                async for line in response.content:
                    if line.startswith(b"data:"):
                        json.loads(line[5:])
                        count += 1
            return count

        await _request(session)
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
