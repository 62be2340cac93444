"""Clients, event loops and processes end in any order, and nothing of a connection is left."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import ssl
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from hestiaos import AsyncioClient
from tests.support import loops
from tests.support.leftovers import left_over, open_things
from tests.support.loops import Binding, keep_alive, until, with_peer
from tests.support.peer import Peer
from tests.support.steps import Request, Script, pause, send
from tests.support.wire import DONE, FINAL, LAST_CHUNK, START, STREAM_HEAD, chunk, event
from tests.support.works import answer

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")  # the server is a thread


def test_one_client_serves_several_runs(binding: Binding, server_url: str) -> None:
    client = binding.client(server_url)

    async def main() -> str:
        return (await client.run_async("a")).result

    before = open_things()
    assert [binding.run(main) for _ in range(3)] == ["processed: a"] * 3
    assert len(left_over(before, most=2)) == 2  # both ends of the last run's, until the client is used again
    binding.run(client.aclose)
    assert left_over(before) == set()


def test_one_client_serves_runs_in_many_threads(binding: Binding, server_url: str) -> None:
    client = binding.client(server_url)
    results: list[str] = []

    async def main() -> None:
        for _ in range(5):
            results.append((await client.run_async("a")).result)

    threads = [threading.Thread(target=binding.run, args=(main,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["processed: a"] * 40


def test_a_client_that_is_dropped_in_its_run_closes_its_connections(binding: Binding) -> None:
    async def main(peer: loops.Peer) -> None:
        client = binding.client(peer.url)
        await client.health_async()
        del client
        await until(lambda: peer.ended == 1)

    with_peer(binding, keep_alive, main)


def test_a_client_that_is_dropped_after_its_run_closes_its_connections(binding: Binding, server_url: str) -> None:
    client = binding.client(server_url)
    before = open_things()
    binding.run(client.health_async)
    del client
    assert left_over(before) == set()


def test_a_client_is_closed_in_another_run_than_that_of_its_connections(binding: Binding, server_url: str) -> None:
    client = binding.client(server_url)
    before = open_things()
    binding.run(client.health_async)
    binding.run(client.aclose)
    assert left_over(before) == set()


def test_a_client_that_is_closed_in_one_thread_ends_connections_of_another(binding: Binding) -> None:
    async def main(peer: loops.Peer) -> None:
        client = binding.client(peer.url)
        await client.health_async()
        await anyio.to_thread.run_sync(binding.run, client.aclose)
        await until(lambda: peer.ended == 1)

    with_peer(binding, keep_alive, main)


@pytest.mark.parametrize("then", ["the client is closed", "all is dropped"])
def test_a_run_may_end_in_the_middle_of_a_stream(binding: Binding, then: str) -> None:
    with Peer(answer=answer) as peer:
        client: Any = binding.client(peer.url)

        async def main() -> object:
            stream = client.run_stream("hold")
            await anext(stream)
            return stream

        left: Any = binding.run(main)
        if then == "the client is closed":
            binding.run(client.aclose)
        else:
            left = client = None
            gc.collect()  # trio keeps the result of a run, in a cycle
        peer.wait_until_left(1)
        del left


@pytest.mark.parametrize("work", ["call", "stream", "unfinished task"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_asyncio_loop_that_is_closed_without_asyncio_run(
    serving: ssl.SSLContext, trusting: ssl.SSLContext, work: str, scheme: str
) -> None:
    """As often as it is done no descriptor is left, and nothing complains."""
    with Peer(answer=answer, tls=serving if scheme == "https" else None) as peer:
        client = AsyncioClient(peer.url, ssl_context=trusting)

        async def main() -> object:
            await client.health_async()
            stream = client.run_stream("hold")
            if work != "call":
                await anext(stream)
            if work == "unfinished task":
                task: Any = asyncio.create_task(stream.__anext__())
                await asyncio.sleep(0)
                task._log_destroy_pending = False  # of which asyncio complains rightly
                return task
            return stream

        before = open_things()
        for _ in range(10):
            loop = asyncio.new_event_loop()
            left = loop.run_until_complete(main())
            loop.close()
            del left
        peer.wait_until_left(9)
        asyncio.run(client.aclose())
        assert left_over(before) == set()


@needs_fork
def test_a_fork_between_two_runs(binding: Binding) -> None:
    with Peer(answer=answer) as peer:
        client = binding.client(peer.url)
        before = open_things()
        binding.run(client.health_async)
        assert in_child(lambda: binding.run(client.health_async)) == 0
        binding.run(client.aclose)
        assert left_over(before) == set()


CHILDREN = [
    pytest.param(scheme, how, marks=[pytest.mark.thorough] if scheme == "https" and how != "exit" else [])
    for scheme in ("http", "https")
    for how in ("aclose", "drop", "aclose client", "drop client", "exit")
]


@needs_fork
@pytest.mark.parametrize(("scheme", "how"), CHILDREN)
def test_connections_of_a_parent_survive_the_end_of_its_forked_child(
    binding: Binding, serving: ssl.SSLContext, trusting: ssl.SSLContext, scheme: str, how: str
) -> None:
    """Its streams, and its connections that are kept; and the server hears of an end that is the parent's."""

    with Peer(answer=answer_late, tls=serving if scheme == "https" else None) as peer:
        client = binding.client(peer.url, ssl_context=trusting)

        async def main() -> None:
            nonlocal client
            streams = [client.run_stream("hold") for _ in range(2)]
            for stream in streams:
                assert (await anext(stream)).type == "start"
            await client.health_async()
            late = client.run_stream("late")
            assert (await anext(late)).type == "start"

            def child() -> None:
                nonlocal client, late

                async def use() -> None:
                    nonlocal client, late
                    assert (await client.health_async()).status == "ok"
                    if how == "aclose":
                        await late.aclose()
                    elif how == "aclose client":
                        await client.aclose()

                in_thread(lambda: binding.run(use))
                if how == "drop":
                    del late
                elif how == "drop client":
                    del late, client
                    streams.clear()
                gc.collect()

            assert in_child(child, exits=how == "exit") == 0
            assert [event.type async for event in late] == ["final", "done"]
            await streams[0].aclose()
            await anyio.to_thread.run_sync(peer.wait_until_left, 1)
            assert (await client.health_async()).status == "ok"
            await client.aclose()

        binding.run(main)


def answer_late(request: Request) -> Script:
    """Of a stream that is to come late, most comes when a child has done its work."""
    if b'"late"' not in request.body:
        return answer(request)
    rest = b"".join(chunk(event(each)) for each in (FINAL, DONE))
    return [send(STREAM_HEAD + chunk(event(START))), pause(0.5), send(rest + LAST_CHUNK)]


def in_thread(work: Callable[[], object]) -> None:
    """A thread of a child runs no event loop yet, as its main thread may."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def in_child(work: Callable[[], object], *, exits: bool = False) -> int:
    """Carry out `work` in a forked process, which ends with a sudden or an ordinary exit. Its status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            if exits:
                gc.collect()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


NO_THREAD = """
import threading
from hestiaos import {client}, ConnectFailed

def start(thread):
    raise RuntimeError("can't start new thread")

async def main():
    async with {client}(URL.replace("127.0.0.1", "localhost"), retries=0, max_connections=1) as client:
        kept, threading.Thread.start = threading.Thread.start, start
        for _ in range(3):
            try:
                await client.health_async()
            except ConnectFailed as error:
                print(error.message.replace(URL.rpartition(":")[2], "…"))
        threading.Thread.start = kept
        print((await client.health_async()).status)

import {loop}
{loop}.run(main{call})
"""


def test_a_name_lookup_that_cannot_start_its_thread(binding: Binding, server_url: str) -> None:
    program = NO_THREAD.format(
        client=binding.client.__name__, loop=binding.name, call="()" if binding.name == "asyncio" else ""
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"URL = {server_url!r}\n{program}"], capture_output=True, text=True
    )
    failed = "cannot connect to http://localhost:…: can't start new thread\n"
    assert (done.stdout, done.stderr) == (3 * failed + "ok\n", "")


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda client: pickle.loads(pickle.dumps(client))])
def test_a_copy_has_connections_of_its_own(
    binding: Binding, server_url: str, used: bool, duplicate: Callable[[Any], Any]
) -> None:
    client = binding.client(server_url, timeout=7.0, max_connections=3)

    async def use(client: Any) -> None:
        assert (await client.health_async()).status == "ok"

    async def main() -> None:
        if used:
            await use(client)
        other = duplicate(client)
        await use(other)
        await client.aclose()
        await use(other)
        await other.aclose()
        assert repr(other) == repr(client)

    binding.run(main)


def test_a_client_with_unpicklable_arguments_cannot_be_pickled(binding: Binding, trusting: ssl.SSLContext) -> None:
    with pytest.raises(TypeError, match="ssl_context"):
        pickle.dumps(binding.client("https://localhost", ssl_context=trusting))
