"""How a process ends with a stream under way: at the end of its program, and by Ctrl-C. Nothing waits or complains."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from hestiaos import Client

PROGRAMS = {
    "sync": """
from hestiaos import Client
stream = Client(URL).run_stream("a")
print(next(stream).type, flush=True)
WAIT or next(stream)
""",
    "asyncio": """
import asyncio
from hestiaos import AsyncClient
async def main():
    stream = AsyncClient(URL).run_stream("a")
    print((await anext(stream)).type, flush=True)
    WAIT or await anext(stream)
asyncio.run(main())
""",
    "httpx on trio": """
import trio
from hestiaos import AsyncClient
async def main():
    stream = AsyncClient(URL).run_stream("a")
    print((await anext(stream)).type, flush=True)
    WAIT or await anext(stream)
trio.run(main)
""",
    "trio": """
import trio
from hestiaos import TrioClient
async def main():
    stream = TrioClient(URL).run_stream("a")
    print((await anext(stream)).type, flush=True)
    WAIT or await anext(stream)
trio.run(main)
""",
}


@pytest.fixture
def silent_url(serve_platform: Callable[..., str]) -> str:
    """A server whose streams are silent behind their first event."""
    return serve_platform(token_delay=3600.0, heartbeat=3600.0)


def start(program: str, url: str, *, ends: bool) -> subprocess.Popen[str]:
    source = f"URL = {url!r}; WAIT = {ends}\n{program}"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_may_end_in_the_middle_of_a_stream(silent_url: str, name: str) -> None:
    process = start(PROGRAMS[name], silent_url, ends=True)
    printed, errors = process.communicate(timeout=20)
    assert (process.returncode, printed, errors) == (0, "start\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process there")
@pytest.mark.parametrize("name", PROGRAMS)
def test_ctrl_c_ends_a_blocked_read_at_once(silent_url: str, name: str) -> None:
    process = start(PROGRAMS[name], silent_url, ends=False)
    assert process.stdout is not None
    assert process.stdout.readline() == "start\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in errors
    assert "ResourceWarning" not in errors


def test_one_client_streams_in_many_threads(server_url: str) -> None:
    with Client(server_url) as client, ThreadPoolExecutor(32) as threads:

        def read(number: int) -> str:
            with client.run_stream(str(number)) as stream:
                for event in stream:
                    if number % 4 == 0 and event.type == "token":
                        return "left"
                return stream.text

        results = list(threads.map(read, range(128)))
    assert results == ["left" if number % 4 == 0 else f"processed: {number}" for number in range(128)]
