"""`os.fork` while other threads of the parent are inside calls and streams of the client that the child uses, too.

No child hangs, each gets its results over connections of its own, and the parent's calls and streams are undisturbed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Event, Thread
from typing import Any

import anyio
import pytest

from hestiaos import AsyncClient, Client, LocalProtocolError
from tests.support import forking
from tests.support.bindings import ASYNC, params
from tests.support.broad import BROAD
from tests.support.forking import Child, Load
from tests.support.http_library import http
from tests.support.peer import Peer
from tests.support.peer_process import PeerProcess, answer
from tests.support.sessions import Session

few_and_many = pytest.mark.parametrize(
    "forks", [3, pytest.param(30, marks=[pytest.mark.thorough, pytest.mark.timeout(300)])]
)

# OpenSSL's locks are beside all others.
http_and_https = pytest.mark.parametrize(
    "tls", [pytest.param(False, marks=pytest.mark.thorough), True], ids=["http", "https"]
)

pytestmark = [BROAD, *forking.pytestmark]


def check_connections(peer: Peer | PeerProcess) -> None:
    """No connection has carried both a request of the parent's and one of a child's, or of two children."""
    owners: dict[int, set[bytes]] = {}
    for request in peer.requests:
        found = re.search(rb'"input":"(parent|child \d+)"', request.body)
        assert found is not None
        owners.setdefault(request.connection, set()).add(found[1])
    assert [each for each in owners.values() if len(each) > 1] == []


def call(client: Client | AsyncClient, text: str) -> None:
    assert client.run(text).result == "r"


def read(client: Client, text: str) -> None:
    with client.run_stream(text) as stream:
        assert [event.type for event in stream][-1] == "done"


def leave(client: Client, text: str) -> None:
    with client.run_stream(text) as stream:
        assert next(stream).type == "start"


def call_and_read(client: Client, text: str) -> None:
    call(client, text)
    read(client, text)


def fork_under_load(peer: Peer | PeerProcess, load: Load, work: Callable[[str], object], forks: int) -> None:
    """Fork again and again, each child to do `work`, which is given its name."""
    with load:
        load.wait_for_work()  # a fork in the middle of an import leaves the child with the import's lock
        for number in range(forks):
            Child(partial(work, f"child {number}")).wait()
        load.wait_for_work()  # the forks have not disturbed it
    check_connections(peer)


@few_and_many
@http_and_https
def test_one_client(tls: bool, forks: int) -> None:
    with PeerProcess(tls=tls) as peer, Client(peer.url, verify=peer.trusting) as client:
        works = [lambda _, work=work: work(client, "parent") for work in (call, read, leave)]
        fork_under_load(peer, Load(*works), partial(call_and_read, client), forks)


@few_and_many
@pytest.mark.parametrize("places", [1, 3])
def test_all_places_in_use(places: int, forks: int) -> None:
    """The child has places of its own, however many of the parent's are in use, and waited for."""
    limits = http.Limits(max_connections=places)
    with Peer(answer=answer) as peer, Client(peer.url, limits=limits) as client:
        works = [lambda _, work=work: work(client, "parent") for work in (call, read)]
        fork_under_load(peer, Load(*works), partial(call_and_read, client), forks)


@few_and_many
@pytest.mark.parametrize("given", ["transport", "http_client"])
def test_a_given_transport(given: str, forks: int) -> None:
    """Its connections and locks are the parent's and not ours to mend: a child may be refused, and never hangs."""
    with http.HTTPTransport() as transport, http.Client(transport=transport) as http_client:
        options: dict[str, Any] = {"transport": transport} if given == "transport" else {"http_client": http_client}

        def work(name: str) -> None:
            with suppress(LocalProtocolError):
                call_and_read(client, name)

        with Peer(answer=answer) as peer, Client(peer.url, **options) as client:
            fork_under_load(peer, Load(lambda _: call(client, "parent")), work, forks)


@few_and_many
def test_synchronous_calls_of_an_async_client(forks: int) -> None:
    with Peer(answer=answer) as peer:
        client = AsyncClient(peer.url)
        fork_under_load(peer, Load(lambda _: call(client, "parent")), partial(call, client), forks)
        asyncio.run(client.aclose())


@few_and_many
@http_and_https
@pytest.mark.parametrize("binding", params(tuple(each for each in ASYNC if each.remote)))
def test_event_loops(binding: type[Session], tls: bool, forks: int) -> None:
    """The parent's event loops run in threads, each with many calls at once; the child has a loop of its own."""
    backend = binding.backends[0]
    with PeerProcess(tls=tls) as peer:
        client = binding.async_client(peer.url, ssl_context=peer.trusting if tls else None)

        def parent(_: int) -> None:
            run(backend, many, client)

        def child(name: str) -> None:
            run(backend, one, client, name)

        fork_under_load(peer, Load(parent, threads=2), child, forks)


@pytest.mark.thorough
@pytest.mark.timeout(300)
@pytest.mark.parametrize("binding", params(tuple(each for each in ASYNC if each.remote)))
def test_handshakes(binding: type[Session]) -> None:
    """Each of the parent's event loops has a new thread, as OpenSSL takes most locks when a thread uses it first.

    The threads stay: at the end of one OpenSSL takes locks, too, and no client can mend that.
    """
    backend = binding.backends[0]
    over = Event()

    def parent(_: int) -> None:
        outcome: Future[None] = Future()
        Thread(target=work, args=(outcome,)).start()
        outcome.result()

    def work(outcome: Future[None]) -> None:
        try:
            outcome.set_result(run(backend, many, client))
        except BaseException as error:
            outcome.set_exception(error)
        over.wait()

    with PeerProcess(tls=True) as peer:
        client = binding.async_client(peer.url, ssl_context=peer.trusting)
        try:
            fork_under_load(peer, Load(parent), lambda name: run(backend, one, client, name), 200)
        finally:
            over.set()


def run(backend: str, work: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
    anyio.run(work, *args, backend=backend)


async def one(client: Any, text: str) -> None:
    assert (await client.run_async(text)).result == "r"
    async with client.run_stream(text) as stream:
        assert [event.type async for event in stream][-1] == "done"


async def many(client: Any) -> None:
    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(one, client, "parent")
