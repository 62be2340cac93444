"""Bare h11 over trio's streams: the least that an HTTP/1.1 client on trio can do with it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import h11
import trio

from benchmarks.recording import run_request, size


@asynccontextmanager
async def stream(url: str, events: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Read a stream's bytes."""
    wanted = run_request(f"{events} events", stream=True)
    async with await _connect(url) as stream:

        async def work() -> int:
            connection = h11.Connection(h11.CLIENT)
            await _send(stream, connection, "/api/v1/run/stream", wanted)
            received = sum(map(len, await _receive(stream, connection)))
            return events if received == size(events) else 0

        yield work


@asynccontextmanager
async def request(url: str, count: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """A request, and its response's JSON."""
    connection = h11.Connection(h11.CLIENT)
    async with await _connect(url) as stream:

        async def work() -> int:
            for _ in range(count):
                await _send(stream, connection, "/api/v1/run", run_request("create a report"))
                json.loads(b"".join(await _receive(stream, connection)))
                connection.start_next_cycle()
            return count

        yield work


async def _connect(url: str) -> trio.SocketStream:
    address = urlsplit(url)
    return await trio.open_tcp_stream(address.hostname or "", address.port or 80)


async def _send(stream: trio.SocketStream, connection: h11.Connection, target: str, content: dict[str, Any]) -> None:
    body = json.dumps(content, separators=(",", ":")).encode()
    headers = [("Host", "replay"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    parts = (h11.Request(method="POST", target=target, headers=headers), h11.Data(data=body), h11.EndOfMessage())
    await stream.send_all(b"".join(connection.send(part) or b"" for part in parts))


async def _receive(stream: trio.SocketStream, connection: h11.Connection) -> list[bytes]:
    """The response's body, as h11 gives it: a piece for each chunk, where it was received in one."""
    parts: list[bytes] = []
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(65536))
        elif isinstance(event, h11.Data):
            parts.append(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return parts
