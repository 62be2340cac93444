"""Many clients at once, and clients that mean harm. All are served; how long they wait is asserted with `-m timing`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from tests.local.test_server_models import COMPLETIONS, answer, completion
from tests.support.broad import BROAD
from tests.support.peer import Peer
from tests.support.raw_client import HEALTH, RUN, RawClient, post
from tests.support.served_process import ServedProcess

pytestmark = BROAD

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


def test_relayed_streams_at_once_are_all_complete() -> None:
    request = post(COMPLETIONS, completion(stream=True))

    async def read(url: str) -> bytes:
        async with connected(url) as (reader, writer):
            writer.write(request)
            return await reader.readuntil(b"0\r\n\r\n")

    async def read_all(url: str) -> list[bytes]:
        return await asyncio.gather(*(read(url) for _ in range(100)))

    with Peer(answer=answer) as model, ServedProcess("--model-url", f"{model.url}/v1", "--model", "tiny") as server:
        for stream in asyncio.run(read_all(server.url)):
            assert stream.count(b'"content":"Hel"') == stream.count(b'"content":"lo"') == 1
            assert stream.count(b"data: [DONE]") == 1


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
        ask_health(client)
    return time.perf_counter() - began


def ask_health(client: RawClient) -> float:
    """How long it takes, in seconds."""
    began = time.perf_counter()
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


@contextlib.contextmanager
def few_descriptors() -> Iterator[None]:
    """What is started has 64."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.timing
def test_a_client_of_before_is_answered_while_there_is_no_file_descriptor_left() -> None:
    """There are more clients than descriptors, and each comes again when its connection is closed."""
    with few_descriptors():
        server = ServedProcess()
    with server, RawClient(server.url) as client, ThreadPoolExecutor(1) as thread:
        ask_health(client)
        over = threading.Event()
        asking = thread.submit(lambda: [ask_health(client) for _ in iter(over.is_set, True)])  # or it would be idle
        with harm("connect", server.url, 100):
            over.wait(1)
            over.set()
        taken = sorted(asking.result())
    print(f"median {taken[len(taken) // 2]:.4f} s, longest {taken[-1]:.3f} s")
    assert taken[-1] < 0.1


@pytest.mark.timing
def test_a_new_client_is_answered_where_others_are_idle_on_all_file_descriptors() -> None:
    with few_descriptors():
        server = ServedProcess()
    with server, contextlib.ExitStack() as opened:
        for _ in range(60):
            opened.enter_context(RawClient(server.url))
        time.sleep(2.5)  # of those that are idle for so long some are closed
        taken = sorted(health(server.url) for _ in range(20))
    print(f"median {taken[10]:.4f} s, longest {taken[-1]:.3f} s")
    assert taken[-1] < 0.1
