"""Clients that mean harm, in a process of their own: `python -m tests.support.harm KIND URL COUNT`, until it is killed.

It says `ready` when all of them are connected and have begun.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from tests.support.raw_client import RUN, post

__all__ = ["KINDS"]

_ENDLESS = post("/api/v1/run/stream", json.dumps({"input": "word " * 12_000}).encode())
_CHUNKED = b"POST /api/v1/run HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
_LARGE = post("/api/v1/run", b"x" * (16 * 1024**2 - 1))

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]


async def read_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask for a long stream, and read 2 KB a second."""
    writer.write(_ENDLESS)
    data = b"begun"
    while data:
        await asyncio.sleep(0.5)
        data = await reader.read(1000)


async def write_slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send requests byte by byte."""
    for byte in post("/api/v1/run", RUN) * 100:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.2)


async def write_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a body in chunks of one byte, as fast as it is taken."""
    writer.write(_CHUNKED)
    while True:
        writer.write(b"1\r\nx\r\n" * 10_000)
        await writer.drain()


async def send_without_key(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a large body without a key."""
    writer.write(_LARGE)
    await writer.drain()
    await reader.read()


async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Connect, and say nothing."""
    await reader.read()


_KINDS = (read_slowly, write_slowly, write_chunks, send_without_key, connect)
KINDS: dict[str, Client] = {each.__name__: each for each in _KINDS}
"""What such a client does with its connection; it begins anew whenever that has ended."""


async def _main(kind: str, url: str, count: int) -> None:
    parts = urlsplit(url)

    async def again_and_again() -> None:
        while True:
            sock = socket.create_connection((parts.hostname, parts.port))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
            reader, writer = await asyncio.open_connection(sock=sock, limit=16_384)
            try:
                await KINDS[kind](reader, writer)
            except ConnectionError:
                pass
            finally:
                writer.transport.abort()

    tasks = [asyncio.ensure_future(again_and_again()) for _ in range(count)]
    await asyncio.sleep(2)
    print("ready", flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
