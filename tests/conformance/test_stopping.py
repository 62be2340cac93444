"""What a caller stops before its request is on its way: the exchange ends at once, wherever it is held."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest

from hestiaos import HestiaError
from tests.support.bindings import ASYNC, HTTPX, HttpxSync, Selectors
from tests.support.environment import environment
from tests.support.http_library import http
from tests.support.peer import Peer
from tests.support.places import DIRECT, LOOKUP, PROXY, Held, Place
from tests.support.scenario import fault
from tests.support.sessions import Session
from tests.support.steps import send, silence
from tests.support.wire import START, STREAM_HEAD, chunk, event

ROW = (
    "`stream.cancel()`, `cancel=event`, `client.close()` during name lookup, TCP connect, TLS handshake, CONNECT,"
    " SOCKS, the wait for a place"
)
TIMEOUT = 30.0  # seconds; who waits for this is not stopped
SOON = 20.0
ALL = LOOKUP | DIRECT | PROXY

soon = pytest.mark.parametrize(
    "soon", [pytest.param(SOON, id="soon"), pytest.param(0.1, id="100 ms", marks=pytest.mark.timing)]
)
"""Within how many seconds it ends."""


class Reading(threading.Thread):
    """Does `work`, which has to be stopped."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.result: object = None
        self._work = work
        self.start()

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:
            self.result = error

    def ends(self, soon: float) -> None:
        begun = time.monotonic()
        self.join(TIMEOUT)
        assert time.monotonic() - begun < soon, "it is not stopped"


def stop(session: Session, held: Held, how: str, soon: float) -> None:
    """Stop what is held, in this way; a stream ends without an error, and the client serves the next call."""
    event = threading.Event()
    stream = session.stream("x", **({"cancel": event} if how == "event" else {})).native
    reading = Reading((lambda: session.call("run", "x")) if how == "close, a call" else (lambda: list(stream)))
    try:
        held.wait()
        {"cancel": stream.cancel, "event": event.set}.get(how, session.close_client)()
        reading.ends(soon)
    finally:
        held.free()
        reading.join(SOON)
    if how.startswith("close"):
        assert isinstance(reading.result, HestiaError)
    else:
        assert reading.result == []
        if held.served:
            assert session.call("run", "x").result == "r"


@fault(ROW, (HttpxSync,))
@soon
@pytest.mark.parametrize("how", ["cancel", "event", "close", "close, a call"])
@pytest.mark.parametrize("place", ALL.values(), ids=ALL)
def test_cancellation_of_a_thread(binding: type[Session], place: Place, how: str, soon: float) -> None:
    with place() as held, environment(held.environ), binding(held.url, timeout=TIMEOUT, **held.options) as session:
        stop(session, held, how, soon)


@fault(ROW, (Selectors,))
@soon
@pytest.mark.parametrize("how", ["cancel", "event"])
@pytest.mark.parametrize("place", DIRECT.values(), ids=DIRECT)
def test_cancellation_in_a_selectors_loop(binding: type[Session], place: Place, how: str, soon: float) -> None:
    with place() as held, binding(held.url, timeout=TIMEOUT, **held.options) as session:
        stop(session, held, how, soon)


@fault(ROW, (HttpxSync,))
@soon
@pytest.mark.parametrize("how", ["cancel", "event", "close", "close, a call"])
def test_cancellation_of_a_thread_that_waits_for_a_connection(binding: type[Session], how: str, soon: float) -> None:
    limits = http.Limits(max_connections=1)
    holding = [send(STREAM_HEAD + chunk(event(START))), silence]
    with Peer(holding) as peer, binding(peer.url, timeout=TIMEOUT, limits=limits) as session:
        holder = session.stream("x")
        assert holder.next().type == "start"
        stop(session, Held(peer.url, lambda: time.sleep(0.2), holder.close), how, soon)


async def stop_async(client: Any, held: Held, how: str, soon: float) -> None:
    """As `stop`, from another task."""
    stream = client.run_stream("x")
    results: list[object] = []

    async def read() -> None:
        try:
            results.append(await client.run_async("x") if how == "close, a call" else [each async for each in stream])
        except HestiaError as error:
            results.append(error)

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.to_thread.run_sync(held.wait)
            begun = time.monotonic()
            if how == "task":
                tasks.cancel_scope.cancel()
            else:
                await (stream if how == "stream" else client).aclose()
    finally:
        held.free()
    assert time.monotonic() - begun < soon, "it is not stopped"
    assert [type(each) for each in results if not isinstance(each, HestiaError)] == []
    if how in ("task", "stream") and held.served:
        assert (await client.run_async("x")).result == "r"


def stop_in_a_loop(binding: type[Session], held: Held, how: str, soon: float, **options: Any) -> None:
    async def main() -> None:
        client = binding.async_client(held.url, timeout=TIMEOUT, **held.options, **options)
        try:
            await stop_async(client, held, how, soon)
        finally:
            await client.aclose()

    with environment(held.environ):
        anyio.run(main, backend=binding.backends[0])


HOW_ASYNC = ["task", "stream", "close", "close, a call"]


@fault(ROW, HTTPX[1:])
@soon
@pytest.mark.parametrize("how", HOW_ASYNC)
@pytest.mark.parametrize("place", PROXY.values(), ids=PROXY)
def test_cancellation_of_a_task_at_a_proxy(binding: type[Session], place: Place, how: str, soon: float) -> None:
    with place() as held:
        stop_in_a_loop(binding, held, how, soon)


@fault(ROW, tuple(each for each in ASYNC if each.remote))
@soon
@pytest.mark.parametrize("how", HOW_ASYNC)
@pytest.mark.parametrize("place", [*LOOKUP.values(), *DIRECT.values()], ids=[*LOOKUP, *DIRECT])
def test_cancellation_of_a_task(binding: type[Session], place: Place, how: str, soon: float) -> None:
    with place() as held:
        stop_in_a_loop(binding, held, how, soon)


@fault(ROW, tuple(each for each in ASYNC if each.remote))
@soon
@pytest.mark.parametrize("how", HOW_ASYNC)
def test_cancellation_of_a_task_that_waits_for_a_connection(binding: type[Session], how: str, soon: float) -> None:
    holding = [send(STREAM_HEAD + chunk(event(START))), silence]

    async def main(url: str) -> None:
        client = binding.async_client(url, timeout=TIMEOUT, one_connection=True)
        holder = client.run_stream("x")
        assert (await anext(holder)).type == "start"
        try:
            await stop_async(client, Held(url, lambda: time.sleep(0.2), served=False), how, soon)
            await holder.aclose()
            if how in ("task", "stream"):
                assert (await client.run_async("x")).result == "r"
        finally:
            await client.aclose()

    with Peer(holding) as peer:
        anyio.run(main, peer.url, backend=binding.backends[0])
