"""Many clients at once, and clients that mean harm. All are served; how long they wait is asserted with `-m timing`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.raw_client import HEALTH, RUN, RawClient, post
from tests.support.served_process import ServedProcess

STREAM = post("/api/v1/run/stream", json.dumps({"input": "word " * 50}).encode())
_AT_ONCE = 50  # requests, each on a new connection
DESCRIPTORS = 16_384


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """As many as both ends of the connections take; the processes that are started have them too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        pytest.skip(f"this machine allows a process {hard} descriptors only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Streams]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def ask(url: str, request: bytes) -> float:
    """Ask on a connection of its own. Returns how long the whole took, in seconds."""
    began = time.perf_counter()
    async with connected(url) as (reader, writer):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    return time.perf_counter() - began


async def read_stream(url: str) -> int:
    """Read a stream to its end. Returns the number of its tokens."""
    async with connected(url) as (reader, writer):
        writer.write(STREAM)
        data = await reader.readuntil(b"0\r\n\r\n")
    assert data.count(b'"type":"done"') == 1
    return data.count(b'"type":"token"')


async def ask_again_and_again(url: str, count: int) -> list[float]:
    return [await ask(url, post("/api/v1/run", RUN)) for _ in range(count)]


async def crowd(url: str, streams: int, requests: int) -> list[float]:
    """Have so many at once. All streams come whole, and the requests say how long each took."""
    reading = [asyncio.ensure_future(read_stream(url)) for _ in range(streams)]
    share = requests // _AT_ONCE
    asking = [asyncio.ensure_future(ask_again_and_again(url, share)) for _ in range(_AT_ONCE)]
    taken = [each for some in await asyncio.gather(*asking) for each in some]
    assert await asyncio.gather(*reading) == [51] * streams
    return sorted(taken)


def test_streams_and_requests_at_once_are_all_complete() -> None:
    with ServedProcess("--token-delay", "0.01") as server:
        assert len(asyncio.run(crowd(server.url, 200, 500))) == 500


@pytest.mark.timing
@pytest.mark.timeout(300)
def test_a_thousand_streams_and_five_thousand_requests_at_once() -> None:
    with ServedProcess("--token-delay", "0.1") as server:
        taken = asyncio.run(crowd(server.url, 1000, 5000))
    print(f"median {taken[2500]:.3f} s, p99 {taken[4950]:.3f} s, longest {taken[-1]:.3f} s")
    assert taken[4950] < 1


def health(url: str) -> float:
    """How long health takes on a connection of its own, in seconds."""
    began = time.perf_counter()
    with RawClient(url) as client:
        client.send(HEALTH)
        assert client.response()[0] == 200
    return time.perf_counter() - began


@contextlib.contextmanager
def harm(kind: str, url: str, count: int) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.support.harm", kind, url, str(count)]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()


@pytest.mark.timing
@pytest.mark.parametrize(
    ("kind", "count", "options"),
    [
        ("read_slowly", 200, ()),
        ("write_slowly", 200, ()),
        ("write_chunks", 3, ()),
        ("send_without_key", 20, ("--api-key", "key")),
    ],
)
def test_health_is_answered_among_hostile_clients(kind: str, count: int, options: tuple[str, ...]) -> None:
    with ServedProcess("--token-delay", "0", *options) as server:
        alone = sorted(health(server.url) for _ in range(200))
        with harm(kind, server.url, count):
            taken = sorted(health(server.url) for _ in range(200))
    print(f"{kind}: alone {alone[100]:.4f} and at most {alone[-1]:.3f} s, now {taken[100]:.4f} and {taken[-1]:.3f} s")
    assert taken[-1] < 0.1
