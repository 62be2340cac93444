"""How a process ends with a stream under way: at the end of its program, and by Ctrl-C. Nothing waits or complains."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from hestiaos import AsyncClient, Client
from tests.support.broad import BROAD, LOOPS, broadly

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
    "asyncio protocol": """
import asyncio
from hestiaos import AsyncioClient
async def main():
    stream = AsyncioClient(URL).run_stream("a")
    print((await anext(stream)).type, flush=True)
    WAIT or await anext(stream)
asyncio.run(main())
""",
    "httpx on trio": """
import trio.testing
from hestiaos import AsyncClient
async def say(word):  # not before main waits: between two lines of trio's, Ctrl-C may leave a coroutine after
    await trio.testing.wait_all_tasks_blocked()
    print(word, flush=True)
async def main():
    stream = AsyncClient(URL).run_stream("a")
    word = (await anext(stream)).type
    print(word, flush=True) if WAIT else trio.lowlevel.spawn_system_task(say, word)
    WAIT or await anext(stream)
trio.run(main)
""",
    "trio": """
import trio.testing
from hestiaos import TrioClient
async def say(word):  # not before main waits: between two lines of trio's, Ctrl-C may leave a coroutine after
    await trio.testing.wait_all_tasks_blocked()
    print(word, flush=True)
async def main():
    stream = TrioClient(URL).run_stream("a")
    word = (await anext(stream)).type
    print(word, flush=True) if WAIT else trio.lowlevel.spawn_system_task(say, word)
    WAIT or await anext(stream)
trio.run(main)
""",
}


@pytest.fixture
def silent_url(serve_platform: Callable[..., str]) -> str:
    """A server whose streams are silent after their first event."""
    return serve_platform(token_delay=3600.0, heartbeat=3600.0)


def start(program: str, url: str, *, ends: bool) -> subprocess.Popen[str]:
    source = f"URL = {url!r}; WAIT = {ends}\n{program}"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("name", broadly(PROGRAMS))
def test_a_program_may_end_in_the_middle_of_a_stream(silent_url: str, name: str) -> None:
    process = start(PROGRAMS[name], silent_url, ends=True)
    printed, errors = process.communicate(timeout=50)
    assert (process.returncode, printed, errors) == (0, "start\n", "")


CLOSING = """
from hestiaos import Client
def main(then):
    client = Client(URL)
    streams = [client.run_stream("a") for _ in range(3)]
    for stream in streams:
        next(stream)
    print(then, flush=True)
    client.close()
    if then == "drop":
        del stream
        streams.clear()
    elif then == "close":
        streams[0].close()
main("drop")
main("close")
main("end")
"""
ASYNC_CLOSING = """
import anyio
from hestiaos import CLIENT
async def main(then):
    client = CLIENT(URL)
    streams = [client.run_stream("a") for _ in range(3)]
    for stream in streams:
        await anext(stream)
    print(then, flush=True)
    await client.aclose()
    if then == "drop":
        del stream
        streams.clear()
    elif then == "close":
        await streams[0].aclose()
anyio.run(main, "drop", backend="BACKEND")
anyio.run(main, "close", backend="BACKEND")
anyio.run(main, "end", backend="BACKEND")
"""


@pytest.mark.parametrize(
    ("client", "backend"),
    [
        ("Client", None),
        pytest.param("AsyncClient", "asyncio", marks=BROAD),
        pytest.param("AsyncClient", "trio", marks=BROAD),
        pytest.param("AsyncioClient", "asyncio", marks=BROAD),
        pytest.param("TrioClient", "trio", marks=BROAD),
    ],
)
def test_a_program_may_close_its_client_in_the_middle_of_streams(
    silent_url: str, client: str, backend: str | None
) -> None:
    program = ASYNC_CLOSING.replace("CLIENT", client).replace("BACKEND", backend) if backend else CLOSING
    process = start(program, silent_url, ends=True)
    printed, errors = process.communicate(timeout=50)
    assert (process.returncode, printed, errors) == (0, "drop\nclose\nend\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process there")
@pytest.mark.parametrize("name", broadly(PROGRAMS))
def test_ctrl_c_ends_a_blocked_read_at_once(silent_url: str, name: str) -> None:
    process = start(PROGRAMS[name], silent_url, ends=False)
    assert process.stdout is not None
    assert process.stdout.readline() == "start\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=50)
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


@pytest.mark.parametrize("how", ["break", "dropped"])
def test_streams_that_are_left_in_many_threads_leave_nothing(silent_url: str, how: str) -> None:
    with Client(silent_url) as client, ThreadPoolExecutor(32) as threads:

        def read(number: int) -> str:
            stream = client.run_stream(str(number))
            if how == "dropped":
                return next(stream).type
            kinds = []
            for event in stream:
                kinds.append(event.type)
                break
            return kinds[0]

        assert set(threads.map(read, range(128))) == {"start"}
        assert client.run("a").result == "processed: a"


@pytest.mark.parametrize("backend", LOOPS)
def test_a_synchronous_call_works_inside_a_running_loop(server_url: str, backend: str) -> None:
    async def main(client: AsyncClient) -> list[str]:
        results = [client.run(number).result for number in "12"]
        results += [event.data["text"] for event in Client(server_url).run_stream("3") if event.type == "token"]
        return [*results, (await client.run_async("4")).result]

    client = AsyncClient(server_url)
    for _ in range(3):
        results = anyio.run(main, client, backend=backend)
        assert [results[0], results[1], "".join(results[2:-1]), results[-1]] == [f"processed: {n}" for n in "1234"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # the served platform is the thread
def test_a_fork_inside_of_a_loops_life(server_url: str) -> None:
    client = AsyncClient(server_url)

    async def run(name: str) -> str:
        return (await client.run_async(name)).result

    def both(name: str) -> bool:
        return [client.run(name).result, asyncio.run(run(name))] == [f"processed: {name}"] * 2

    assert both("before")
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if both("child") else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert both("parent")
