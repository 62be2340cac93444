"""A call and a stream cancelled at every place where they wait: afterwards the pool is whole, and nothing is left.

A cancellation is stepped through a piece of work: at its first suspension, at its second, and so on until the work is
done before its turn comes.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import anyio
import httpx
import pytest
import sniffio
import trio
import trustme

from hestiaos import AsyncClient, AsyncioClient, Client, EventStream, TrioClient

AnyClient = AsyncClient | AsyncioClient | TrioClient
Work = Callable[[AnyClient], Coroutine[Any, Any, None]]

PLACES = 2  # as many connections as a pool here may have
PATIENCE = 5.0  # seconds; a pool that has lost a place is noticed by waiting for so long
MOST = 200  # suspensions; a piece of work that has more does not end

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="this system has no /proc")


class Suspensions:
    """Counts how often pieces of work are suspended, and calls `act` at number `turn`, counting from 1.

    `late` puts it off until what is waited for has arrived, and before the task hears of that.
    """

    def __init__(self, turn: int, act: Callable[[], object], *, late: bool = False) -> None:
        self._turn = turn
        self._act = act
        self._late = late
        self.count = 0

    async def during(self, work: Awaitable[Any]) -> Any:
        """Await `work`, whose suspensions count."""
        return await _Counted(work, self._note)

    def task_factory(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any) -> Any:
        """For asyncio's loop: the suspensions of the tasks that the work starts count too."""
        return asyncio.Task(self.during(work), loop=loop, **options)

    def _note(self, waits_for: object) -> None:
        self.count += 1
        if self.count == self._turn:
            if not self._late:
                self._act()
            elif isinstance(waits_for, asyncio.Future):
                waits_for.add_done_callback(lambda _: self._act())
            elif sniffio.current_async_library() == "trio":
                trio.lowlevel.add_instrument(_WhenScheduled(trio.lowlevel.current_task(), self._act))
            else:  # nothing is waited for: the task gives way to others
                self._act()


class _WhenScheduled(trio.abc.Instrument):
    """Calls `act` when trio has found that `task` can go on."""

    def __init__(self, task: trio.lowlevel.Task, act: Callable[[], object]) -> None:
        self._task = task
        self._act = act

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            trio.lowlevel.remove_instrument(self)
            self._act()


class _Counted:
    """Awaits `work` and tells `note` of what it waits for, each time that it is suspended."""

    def __init__(self, work: Awaitable[Any], note: Callable[[object], None]) -> None:
        self._work = work
        self._note = note

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._work.__await__()
        go_on, value = steps.send, None
        while True:
            try:
                waits_for = go_on(value)
            except StopIteration as end:
                return end.value
            self._note(waits_for)
            try:
                go_on, value = steps.send, (yield waits_for)
            except BaseException as error:  # the work decides what it means
                go_on, value = steps.throw, error


async def one_call(client: AnyClient) -> None:
    assert (await client.run_async("a")).result == "processed: a"


async def one_stream(client: AnyClient) -> None:
    async with client.run_stream("a b") as stream:
        assert [event.type async for event in stream][-1] == "done"


async def half_a_stream(client: AnyClient) -> None:
    async with client.run_stream("a b") as stream:
        assert (await anext(stream)).type == "start"


async def check_pool(client: AnyClient) -> None:
    """As many streams as there are places are under way at once: each holds its connection until it is closed."""
    streams = [client.run_stream("a") for _ in range(PLACES)]
    for stream in streams:
        assert (await anext(stream)).type == "start"
    for stream in streams:
        await stream.aclose()
    for _ in range(PLACES):
        await one_call(client)


class CannedServer:
    """Speaks TLS and answers `run` and `run_stream` as the platform does, each connection in a thread of its own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._over = threading.Event()
        self._threads[0].start()

    def close(self) -> None:
        """End, once the clients have closed all their connections."""
        self._over.set()
        socket.create_connection(self._listener.getsockname()).close()  # wakes the one that accepts
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            connection, _ = self._listener.accept()
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), self._context.wrap_socket(connection, server_side=True) as tls:
            request = b""
            while data := tls.recv(65536):
                request += data
                if request.endswith(b"}"):
                    tls.sendall(STREAM if b"/stream" in request else RESULT)
                    request = b""


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


BODY = b'{"result": "processed: a", "output": null, "mode": "ALLOW", "budget": 1, "trace_id": "t", "latency_ms": 1}'
RESULT = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(
    chunk(b'data: {"type": "%b"}\n\n' % kind if kind else b"") for kind in (b"start", b"final", b"done", b"")
)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_url(authority: trustme.CA) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = CannedServer(context)
    yield server.url
    server.close()


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def over_httpx(url: str, context: ssl.SSLContext) -> AsyncClient:
    limits = httpx.Limits(max_connections=PLACES)
    return AsyncClient(url, limits=limits, verify=context, timeout=PATIENCE, retries=0)


def over_trio(url: str, context: ssl.SSLContext) -> TrioClient:
    return TrioClient(url, max_connections=PLACES, ssl_context=context, timeout=PATIENCE, retries=0)


def over_asyncio(url: str, context: ssl.SSLContext) -> AsyncioClient:
    return AsyncioClient(url, max_connections=PLACES, ssl_context=context, timeout=PATIENCE, retries=0)


Cancelled = Callable[[Coroutine[Any, Any, None], int, bool], Awaitable[bool]]
"""Cancels work at its turn, `late` or not. Whether the turn came."""


async def by_scope(work: Coroutine[Any, Any, None], turn: int, late: bool) -> bool:
    """As trio and anyio cancel."""
    with anyio.CancelScope() as scope:
        steps = Suspensions(turn, scope.cancel, late=late)
        with counted_tasks(steps):
            await steps.during(work)
    return steps.count >= turn


async def by_task(work: Coroutine[Any, Any, None], turn: int, late: bool) -> bool:
    """As asyncio cancels."""
    steps = Suspensions(turn, lambda: task.cancel(), late=late)
    with counted_tasks(steps):
        task = asyncio.create_task(work)
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return steps.count >= turn


@contextmanager
def counted_tasks(steps: Suspensions) -> Iterator[None]:
    """On asyncio, count the suspensions of every task that is started meanwhile."""
    if sniffio.current_async_library() == "trio":
        yield
        return
    loop = asyncio.get_running_loop()
    loop.set_task_factory(steps.task_factory)
    try:
        yield
    finally:
        loop.set_task_factory(None)


Connect = Callable[[str, ssl.SSLContext], AnyClient]

BINDINGS: dict[str, tuple[str, Connect, Cancelled]] = {
    "httpx on asyncio, by task": ("asyncio", over_httpx, by_task),
    "httpx on asyncio, by scope": ("asyncio", over_httpx, by_scope),
    "httpx on trio": ("trio", over_httpx, by_scope),
    "trio": ("trio", over_trio, by_scope),
    "asyncio, by task": ("asyncio", over_asyncio, by_task),
    "asyncio, by scope": ("asyncio", over_asyncio, by_scope),
}


def descriptors() -> list[str]:
    """What is open in this process, except for what looks it up; the numbers may change, the kinds may not."""
    kinds = []
    for each in os.listdir("/proc/self/fd"):
        try:
            kinds.append(os.readlink(f"/proc/self/fd/{each}").partition(":")[0])
        except FileNotFoundError:
            continue
    return sorted(kinds)


def tasks(backend: str) -> int:
    return len(asyncio.all_tasks()) if backend == "asyncio" else trio.lowlevel.current_statistics().tasks_living


async def until(done: Callable[[], bool], told: Callable[[], str]) -> None:
    """Wait until it is so: the server is in this process, and closes its end when it hears of it."""
    for _ in range(2000):
        if done():
            return
        await anyio.sleep(0.001)
    raise AssertionError(told())


class Leftovers:
    """What is open before a piece of work, and must be all that is open behind it."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._before = self._now()

    def _now(self) -> tuple[list[str], int, int]:
        return descriptors(), tasks(self._backend), threading.active_count()

    async def check(self, what: str) -> None:
        await until(lambda: self._now() == self._before, lambda: f"{what}: {self._before} before, {self._now()} now")


@pytest.fixture(params=BINDINGS)
def binding(request: pytest.FixtureRequest) -> tuple[str, Connect, Cancelled]:
    return BINDINGS[request.param]


@needs_proc
@pytest.mark.parametrize(
    ("url", "pool", "work", "late"),
    [
        *[("server_url", "empty", work, late) for work in (one_call, one_stream) for late in (False, True)],
        *[("server_url", "warm", work, late) for work in (one_call, half_a_stream) for late in (False, True)],
        ("tls_url", "empty", one_call, False),
    ],
)
def test_a_cancellation_at_every_suspension(
    request: pytest.FixtureRequest,
    trusting: ssl.SSLContext,
    binding: tuple[str, Connect, Cancelled],
    url: str,
    pool: str,
    work: Work,
    late: bool,
) -> None:
    backend, connect, cancelled = binding

    async def main(url: str) -> int:
        for turn in range(1, MOST):
            leftovers = Leftovers(backend)
            async with connect(url, trusting) as client:
                if pool == "warm":
                    await check_pool(client)
                came = await cancelled(work(client), turn, late)
                await check_pool(client)
            await leftovers.check(f"cancelled at {turn}")
            if not came:
                return turn
        raise AssertionError("the work does not end")

    # The least there can be: the response arrives, and what follows is not cancelled any more. asyncio sends at once.
    least = 2 if connect is over_asyncio else 3
    assert anyio.run(main, request.getfixturevalue(url), backend=backend) >= least


@needs_proc
@pytest.mark.parametrize("late", [False, True], ids=["while it waits", "late"])
def test_a_queued_call_is_cancelled_while_a_place_becomes_free(
    server_url: str, trusting: ssl.SSLContext, binding: tuple[str, Connect, Cancelled], late: bool
) -> None:
    backend, connect, _ = binding

    async def close(streams: list[Any]) -> None:
        for stream in streams:
            await stream.aclose()

    async def main() -> int:
        for turn in range(1, MOST):
            leftovers = Leftovers(backend)
            async with connect(server_url, trusting) as client:
                streams = [client.run_stream("a") for _ in range(PLACES)]
                for stream in streams:
                    await anext(stream)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(one_call, client)
                    await anyio.wait_all_tasks_blocked()
                    steps = Suspensions(turn, tasks.cancel_scope.cancel, late=late)
                    with anyio.CancelScope(shield=True), counted_tasks(steps):
                        await steps.during(close(streams))
                await check_pool(client)
            await leftovers.check(f"cancelled at {turn}")
            if steps.count < turn:
                return turn
        raise AssertionError("the closing does not end")

    assert anyio.run(main, backend=backend) >= 1  # where a stream's end never waits there is one turn


@needs_proc
@pytest.mark.parametrize("seed", range(4))
def test_many_tasks_cancelled_at_random(
    server_url: str, trusting: ssl.SSLContext, binding: tuple[str, Connect, Cancelled], seed: int
) -> None:
    backend, connect, cancelled = binding
    chance = random.Random(seed)

    async def main() -> None:
        leftovers = Leftovers(backend)
        async with connect(server_url, trusting) as client:
            async with anyio.create_task_group() as tasks:
                for _ in range(32):
                    work = chance.choice([one_call, one_stream, half_a_stream])
                    tasks.start_soon(cancelled_in_a_crowd, cancelled, work(client), chance.randint(1, 40))
            await check_pool(client)
        await leftovers.check(f"seed {seed}")

    anyio.run(main, backend=backend)


async def cancelled_in_a_crowd(cancelled: Cancelled, work: Coroutine[Any, Any, None], turn: int) -> None:
    await cancelled(work, turn, turn % 2 == 0)


class HoldingServer:
    """Answers the first requests with `answers`, one each, and says nothing to the next; `arrived` is set by that."""

    def __init__(self, *answers: bytes, context: ssl.SSLContext | None = None) -> None:
        self.arrived = threading.Event()
        self.connections = 0
        self._answers = list(answers)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> HoldingServer:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        """Until a connection ends that was not answered."""
        while not self.arrived.is_set():
            connection, _ = self._listener.accept()
            self.connections += 1
            with connection, suppress(ConnectionResetError):
                tls = self._context and self._context.wrap_socket(connection, server_side=True)
                self._answer(tls or connection)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            request = b""
            while data := connection.recv(65536):
                request += data
                if not request.endswith(b"}"):
                    continue
                request = b""
                if self._answers:
                    connection.sendall(self._answers.pop(0))
                else:
                    self.arrived.set()


def cancelled_while_blocked(stream: EventStream, blocked: threading.Event, how: Callable[[], object]) -> list[str]:
    """What a reader in another thread has read of `stream` when it is cancelled."""
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(event.type for event in stream))
    reader.start()
    assert blocked.wait(PATIENCE)
    how()
    reader.join(PATIENCE)
    assert not reader.is_alive()
    return read


@pytest.mark.parametrize("how", ["cancel", "event"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("earlier", [0, 1, 3])
def test_a_stream_that_waits_for_its_head_is_cancelled(
    authority: trustme.CA, trusting: ssl.SSLContext, earlier: int, scheme: str, how: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if scheme == "https" else None
    if context is not None:
        authority.issue_cert("127.0.0.1").configure_cert(context)
    threads = threading.active_count()
    event = threading.Event()
    with HoldingServer(*[STREAM] * earlier, context=context) as server, Client(server.url, verify=trusting) as client:
        for _ in range(earlier):
            assert [each.type for each in client.run_stream("a")] == ["start", "final", "done"]
        stream = client.run_stream("a", cancel=event if how == "event" else None)
        assert cancelled_while_blocked(stream, server.arrived, event.set if how == "event" else stream.cancel) == []
    assert server.connections == 1
    assert threading.active_count() == threads


@pytest.mark.parametrize("how", ["cancel", "event"])
def test_a_stream_that_waits_for_its_next_attempt_is_cancelled(how: str) -> None:
    event = threading.Event()
    begun = threading.Event()
    refused = httpx.Response(503, headers={"Retry-After": "50"})

    class Refusing(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            begun.set()
            return refused

    with Client(transport=Refusing()) as client:
        stream = client.run_stream("a", cancel=event if how == "event" else None)
        assert cancelled_while_blocked(stream, begun, event.set if how == "event" else stream.cancel) == []


def test_a_stream_that_is_cancelled_while_it_connects_leaves_no_socket(server_url: str) -> None:
    with httpx.Client(event_hooks={"request": [lambda request: stream.cancel()]}) as http_client:
        stream = Client(server_url, http_client=http_client).run_stream("a")
        assert list(stream) == []
        gc.collect()  # an unclosed socket would warn here, and a warning is an error


def test_a_late_cancellation_does_not_reach_the_next_stream_of_the_connection(server_url: str) -> None:
    with Client(server_url) as client:
        over = client.run_stream("a")
        list(over)
        following = client.run_stream("a b")
        assert next(following).type == "start"
        over.cancel()
        assert [event.type for event in following][-1] == "done"
