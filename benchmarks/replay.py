"""The server that feeds the clients, in a process of its own: it plays what it has recorded, and thinks nothing.

A request says in its own text how many events it wants (`10000 events`), each of which goes out as one HTTP chunk.
Where it says `10000 held events`, all after the first wait until somebody asks for `/release`; where it says `1000 slow
events`, each is sent by itself, as models send them, and has been read before the next is sent.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from urllib.request import urlopen

from benchmarks.limits import allow_many_files
from benchmarks.recording import RUN_RESPONSE, frames

_STREAM = re.compile(rb'"stream": ?true')
_WANTED = re.compile(rb"(\d+) (held |slow )?events")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\ndate: Sat, 22 Nov 2025 10:40:00 GMT\r\nserver: replay\r\ncontent-type: "
_SHAPES = {b"/messages": "anthropic", b"/model/": "model", b"/completions": "openai"}  # by a part of the path
_PIECE = 256 * 1024
_PAUSE = 0.001  # seconds between two slow events; a client takes a tenth of that for one


@contextmanager
def replay_server() -> Iterator[str]:
    """Start it; its base URL."""
    command = [sys.executable, "-m", "benchmarks.replay"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it is a pipe"
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def release(url: str) -> None:
    """Let the held streams go on."""
    with urlopen(f"{url}/release") as response:
        response.read()


@cache
def stream_response(events: int, shape: str) -> tuple[bytes, list[bytes], bytes]:
    """The response of a stream: up to its first event, the chunks of the others, and all that in one piece."""
    head = _HEAD + b"text/event-stream\r\ncache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n"
    first, *rest = [b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames(events, shape)]
    rest.append(b"0\r\n\r\n")
    return head + first, rest, b"".join(rest)


@cache
def json_response() -> bytes:
    """The response of a run."""
    body = json.dumps(RUN_RESPONSE, separators=(",", ":")).encode()
    return _HEAD + b"application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


class _Server:
    def __init__(self) -> None:
        self._released = asyncio.Event()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):  # the client has what it wanted
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1])) if length else b""
                await self._answer(head.split(b" ", 2)[1], body, writer)
        writer.close()

    async def _answer(self, target: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        if target == b"/release":
            self._released.set()
            self._released = asyncio.Event()
        if not _STREAM.search(body):
            writer.write(json_response())
            return
        wanted = _WANTED.search(body)
        assert wanted is not None, "a stream's request says how many events it wants"
        shape = next((shape for path, shape in _SHAPES.items() if path in target), "hestiaos")
        first, chunks, rest = stream_response(int(wanted[1]), shape)
        writer.write(first)
        if wanted[2] == b"held ":
            await self._released.wait()
        if wanted[2] == b"slow ":
            for chunk in chunks:
                await asyncio.sleep(_PAUSE)
                writer.write(chunk)
            return
        for start in range(0, len(rest), _PIECE):
            writer.write(rest[start : start + _PIECE])
            await writer.drain()


async def _main() -> None:
    allow_many_files()
    server = await asyncio.start_server(_Server().converse, "127.0.0.1", 0, backlog=4096)
    print("http://{}:{}".format(*server.sockets[0].getsockname()), flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)  # it ends with the process that has started this one


if __name__ == "__main__":
    asyncio.run(_main())
