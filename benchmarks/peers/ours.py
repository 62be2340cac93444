"""This SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import trio

from benchmarks.recording import frame, frames, pieces
from benchmarks.replay import release
from hestiaos import (
    AsyncClient,
    AsyncEventStream,
    AsyncioClient,
    AsyncioEventStream,
    Client,
    TrioClient,
    TrioEventStream,
)
from hestiaos_proto import RunStream


@contextmanager
def decode(events: int, piece: int) -> Iterator[Callable[[], int]]:
    """Bytes to `StreamEvent`s, the order of the events enforced."""
    data = pieces(events, piece)

    def work() -> int:
        stream, count = RunStream(), 0
        for one in data:
            stream.receive_data(one)
            for _ in stream.events():
                count += 1
        stream.receive_data(b"")
        for _ in stream.events():
            count += 1
        return count

    yield work


@contextmanager
def stream(url: str, events: int, pace: str = "") -> Iterator[Callable[[], int]]:
    """`Client.run_stream`."""
    with Client(url) as client:

        def work() -> int:
            count = 0
            for _ in client.run_stream(f"{events} {pace}events"):
                count += 1
            return count

        client.run("warm up")
        yield work


@asynccontextmanager
async def async_stream(url: str, events: int, pace: str = "") -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """`AsyncClient.run_stream`."""
    async with AsyncClient(url) as client:
        await client.run_async("warm up")
        yield lambda: _read(client, events, pace)


@asynccontextmanager
async def asyncio_stream(url: str, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """`AsyncioClient.run_stream`."""
    async with AsyncioClient(url) as client:
        await client.run_async("warm up")
        yield lambda: _read(client, events)


@asynccontextmanager
async def trio_stream(url: str, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """`TrioClient.run_stream`."""
    async with TrioClient(url) as client:
        await client.run_async("warm up")
        yield lambda: _read(client, events)


@contextmanager
def one_event(size: int, piece: int, repeat: int) -> Iterator[Callable[[], int]]:
    """A stream's event of `size` bytes, in pieces; the same again and again."""
    wrapping = frame(b'{"type":"start","data":{"text":""}}')
    middle = wrapping.index(b'""') + 1
    whole = wrapping[:middle] + b"x" * (size - len(wrapping)) + wrapping[middle:]

    def work() -> int:
        for _ in range(repeat):
            stream, count = RunStream(max_event_size=size), 0
            for start in range(0, size, piece):
                stream.receive_data(whole[start : start + piece])
                for _ in stream.events():
                    count += 1
            assert count == 1, "the event is whole"
        return size * repeat

    yield work


@contextmanager
def many_events(events: int) -> Iterator[Callable[[], int]]:
    """A stream of `events` events in pieces of 64 KiB, which are always the same."""
    token = frames(1000)[1]
    start, data = frames(3)[0], token * (65536 // len(token))
    each = len(data) // len(token)

    def work() -> int:
        stream, count, left = RunStream(), 0, events - 1
        stream.receive_data(start)
        while count < events:
            for _ in stream.events():
                count += 1
            if left:
                stream.receive_data(data[: left * len(token)])
                left -= min(left, each)
        return count

    yield work


@asynccontextmanager
async def async_streams(url: str, streams: int, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Streams of an `AsyncClient` at once, the first event of each read."""
    async with AsyncClient(url, limits=httpx.Limits(max_connections=None)) as client:
        yield await _open(client, url, streams, events)


@asynccontextmanager
async def asyncio_streams(url: str, streams: int, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Streams of an `AsyncioClient` at once, the first event of each read."""
    async with AsyncioClient(url, max_connections=streams) as client:
        yield await _open(client, url, streams, events)


@asynccontextmanager
async def trio_streams(url: str, streams: int, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Streams of a `TrioClient` at once, the first event of each read."""
    async with TrioClient(url, max_connections=streams) as client:
        opened = [client.run_stream(f"{events} held events") for _ in range(streams)]
        for stream in opened:
            await anext(stream)
        counts: list[int] = []

        async def count(stream: TrioEventStream) -> None:
            counts.append(await _count(stream))

        async def work() -> int:
            release(url)
            async with trio.open_nursery() as nursery:
                for stream in opened:
                    nursery.start_soon(count, stream)
            return sum(counts)

        yield work


@contextmanager
def request(url: str, count: int) -> Iterator[Callable[[], int]]:
    """`Client.run`."""
    with Client(url) as client:

        def work() -> int:
            for _ in range(count):
                client.run("create a report")
            return count

        client.run("warm up")
        yield work


@asynccontextmanager
async def async_request(url: str, count: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """`AsyncClient.run_async`."""
    async with AsyncClient(url) as client:
        await client.run_async("warm up")
        yield lambda: _call(client, count)


@asynccontextmanager
async def asyncio_request(url: str, count: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """`AsyncioClient.run_async`."""
    async with AsyncioClient(url) as client:
        await client.run_async("warm up")
        yield lambda: _call(client, count)


@asynccontextmanager
async def trio_request(url: str, count: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """`TrioClient.run_async`."""
    async with TrioClient(url) as client:
        await client.run_async("warm up")
        yield lambda: _call(client, count)


@contextmanager
def build(count: int) -> Iterator[Callable[[], int]]:
    """A `Client`, and its end."""

    def work() -> int:
        for _ in range(count):
            Client("http://localhost:8000").close()
        return count

    yield work


async def _open(
    client: AsyncClient | AsyncioClient, url: str, streams: int, events: int
) -> Callable[[], Awaitable[int]]:
    opened = [client.run_stream(f"{events} held events") for _ in range(streams)]
    for stream in opened:
        await anext(stream)

    async def work() -> int:
        release(url)
        return sum(await asyncio.gather(*map(_count, opened)))

    return work


async def _read(client: AsyncClient | AsyncioClient | TrioClient, events: int, pace: str = "") -> int:
    return await _count(client.run_stream(f"{events} {pace}events"))


async def _count(stream: AsyncEventStream | AsyncioEventStream | TrioEventStream) -> int:
    count = 0
    async for _ in stream:
        count += 1
    return count


async def _call(client: AsyncClient | AsyncioClient | TrioClient, count: int) -> int:
    for _ in range(count):
        await client.run_async("create a report")
    return count
