"""Clients and transports that are given to ours."""

from __future__ import annotations

import gzip
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import anyio
import pytest

from hestiaos import HestiaError, LocalProtocolError, NotFound, RateLimited, ServerError
from tests.support.bindings import HTTPX, AsyncioProtocol, HttpxAsyncio, HttpxSync, TrioStreams
from tests.support.http_library import NAME, http
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import Session
from tests.support.steps import Request, Script, send
from tests.support.wire import RUN, ok, response, to_json

KIND = "a given `http_client` or `transport` of the wrong kind, or of no kind"
USED = "a given client that is closed; whose hooks read the body; whose hooks raise for status"

NAMES = [name for name in ("httpx", "httpx2") if name == NAME or (NAME == "httpx" and find_spec(name))]
"""The libraries whose clients can be given in this run."""

libraries = pytest.mark.parametrize("library", NAMES)


class SessionLike:
    """As a client of another library is."""

    def send(self, request: Any, **kwargs: Any) -> Any: ...

    def request(self, method: str, url: str, **kwargs: Any) -> Any: ...

    def close(self) -> None: ...


def of_no_kind() -> list[object]:
    lock = threading.Lock()
    return [
        "http://localhost",
        b"x",
        1,
        0,
        False,
        True,
        1.5,
        [],
        {},
        (),
        object(),
        SessionLike(),
        SessionLike,
        lock,
        print,
    ]


@contextmanager
def closing(*things: Any) -> Iterator[None]:
    """Close them afterwards, each in its own way."""
    try:
        yield
    finally:
        for each in things:
            if hasattr(each, "aclose"):
                anyio.run(each.aclose)
            else:
                each.close()


@fault(KIND, HTTPX)
@libraries
def test_given_clients_and_transports_of_the_wrong_kind(binding: type[Session], library: str) -> None:
    lib = import_module(library)
    sync = lib.Client(), lib.HTTPTransport(), lib.MockTransport(good)
    other = lib.AsyncClient(), lib.AsyncHTTPTransport()
    wrong = other if binding is HttpxSync else sync[:2]
    classes = lib.Client, lib.AsyncClient, lib.HTTPTransport, lib.AsyncHTTPTransport, lib
    with Peer() as peer, closing(*sync[:2], *other):
        cases = [("http_client", each) for each in (*of_no_kind(), *classes, *sync[1:], other[1], wrong[0])]
        cases += [("transport", each) for each in (*of_no_kind(), *classes, sync[0], other[0], wrong[1])]
        for name, given in cases:
            with pytest.raises(TypeError, match=name):
                made(binding, peer.url, **{name: given})
        right = (sync if binding is HttpxSync else other)[:2]
        with pytest.raises(TypeError, match="not both"):
            made(binding, peer.url, http_client=right[0], transport=right[1])
        assert peer.connections == 0


def made(binding: type[Session], url: str, **options: Any) -> Any:
    return binding.new_client(url, **options) if binding is HttpxSync else binding.async_client(url, **options)


@fault(KIND, (TrioStreams, AsyncioProtocol))
def test_the_wrong_transport_of_an_event_loops_client(binding: type[Session]) -> None:
    with Peer() as peer:
        for given in (*of_no_kind(), http.MockTransport(good)):
            if given is not None:
                with pytest.raises(TypeError, match="transport"):
                    binding.async_client(peer.url, transport=given)
        assert peer.connections == 0


def good(request: Any) -> Any:
    return http.Response(200, json=RUN)


@fault(KIND, (HttpxSync, HttpxAsyncio))
@libraries
def test_a_call_of_the_other_kind(binding: type[Session], library: str) -> None:
    """It cannot go the given way, and so it does not go at all."""
    lib = import_module(library)
    sync, other = (lib.Client(), lib.HTTPTransport()), (lib.AsyncClient(), lib.AsyncHTTPTransport())
    with Peer() as peer, closing(*sync, *other):
        for name, given in zip(("http_client", "transport"), sync if binding is HttpxSync else other, strict=True):
            client = made(binding, peer.url, **{name: given})
            with pytest.raises(LocalProtocolError):
                anyio.run(client.run_async, "x") if binding is HttpxSync else client.run("x")
        assert peer.connections == 0


@fault(KIND, HTTPX)
@libraries
def test_given_clients_and_transports_of_the_right_kind(binding: type[Session], library: str) -> None:
    """The request goes out only by what was given."""
    lib = import_module(library)
    seen: list[str] = []

    def handle(request: Any) -> Any:
        seen.append(str(request.url.path))
        return lib.Response(200, json=RUN)

    async def handle_async(request: Any) -> Any:
        return handle(request)

    prefix, handler = ("", handle) if binding is HttpxSync else ("Async", handle_async)
    with Peer() as peer:
        for name in "transport", "http_client":
            transport = lib.MockTransport(handler)
            given = transport if name == "transport" else getattr(lib, f"{prefix}Client")(transport=transport)
            with binding(peer.url, **{name: given}) as session:
                assert session.call("run", "x").result == "r"
        assert seen == ["/api/v1/run"] * 2
        assert peer.connections == 0


class Given:
    """A session over a client of `library` with hooks, made and closed in its event loop."""

    def __init__(
        self, binding: type[Session], library: str, url: str, hook: Callable[[Any], Any] | None, **options: Any
    ):
        lib = import_module(library)
        prefix = "" if binding is HttpxSync else "Async"
        hooks = {} if hook is None else {"event_hooks": {"response": [hook]}}
        trusting_none = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to load the usual authorities takes long
        self.http_client = getattr(lib, f"{prefix}Client")(verify=trusting_none, **hooks)
        self.session = binding(url, http_client=self.http_client, **options)

    def __enter__(self) -> Given:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close_http_client()
        self.session.close()

    def close_http_client(self) -> None:
        if isinstance(self.session, HttpxSync):
            self.http_client.close()
        else:
            self.session.portal.call(self.http_client.aclose)


@fault(USED, HTTPX)
@libraries
def test_a_given_client_that_is_closed(binding: type[Session], library: str) -> None:
    with Peer() as peer, Given(binding, library, peer.url, None, retries=3) as given:
        for used in False, True:
            if used:
                assert given.session.call("run", "x").result == "r"
                given.close_http_client()
                for _ in range(2):
                    with pytest.raises(LocalProtocolError, match="closed"):
                        given.session.call("run", "x")
                    with pytest.raises(LocalProtocolError, match="closed"):
                        given.session.stream("x").next()
        assert len(peer.requests) == 1


def reading(binding: type[Session]) -> Callable[[Any], Any]:
    async def read_async(response: Any) -> None:
        await response.aread()

    return read_sync if binding is HttpxSync else read_async


def read_sync(response: Any) -> None:
    response.read()


def raising(binding: type[Session], *, read: bool = False) -> Callable[[Any], Any]:
    async def raise_async(response: Any) -> None:
        if read:
            await response.aread()
        response.raise_for_status()

    def raise_sync(response: Any) -> None:
        if read:
            response.read()
        response.raise_for_status()

    return raise_sync if binding is HttpxSync else raise_async


@fault(USED, HTTPX)
@libraries
@pytest.mark.parametrize("coding", ["", "gzip"])
def test_hooks_that_read_the_body(binding: type[Session], library: str, coding: str) -> None:
    body = to_json(RUN)
    answer = ok(RUN) if not coding else response(200, gzip.compress(body), "Content-Encoding: gzip")
    with Peer([send(answer)], *[[send(refusal(404))]] * 2) as peer:
        with Given(binding, library, peer.url, reading(binding)) as given:
            assert given.session.call("run", "x").result == "r"
            for ask in (lambda: given.session.call("run", "x")), (lambda: given.session.stream("x").next()):
                with pytest.raises(NotFound, match="told") as refused:
                    ask()
                assert refused.value.trace_id == "t-1"
            reading_stream = given.session.stream("x")
            events, error = reading_stream.read()
            assert error is None
            assert [event.type for event in events] == ["start", "token", "final", "done"]
        assert len(peer.requests) == 4


def refusal(status: int) -> bytes:
    return response(status, to_json({"message": "told", "trace_id": "t-1"}), "Retry-After: 0")


def refuses(status: int) -> Callable[[Request], Script]:
    return lambda request: [send(refusal(status))]


@fault(USED, HTTPX)
@libraries
@pytest.mark.parametrize("read", [False, True], ids=["unread", "read"])
def test_hooks_that_raise_for_status(binding: type[Session], library: str, read: bool) -> None:
    for status, kind, count in (404, NotFound, 1), (500, ServerError, 1), (503, ServerError, 3), (429, RateLimited, 3):
        for ask in "call", "stream":
            hook = raising(binding, read=read)
            with (
                Peer(answer=refuses(status)) as peer,
                Given(binding, library, peer.url, hook, retries=2) as given,
            ):
                with pytest.raises(HestiaError) as refused:
                    given.session.call("run", "x") if ask == "call" else given.session.stream("x").next()
                assert type(refused.value) is kind
                assert refused.value.status_code == status
                if read:
                    assert (refused.value.message, refused.value.trace_id) == ("told", "t-1")
                assert len(peer.requests) == count
    with Peer() as peer, Given(binding, library, peer.url, raising(binding, read=read)) as given:
        assert given.session.call("run", "x").result == "r"


@fault(USED, (HttpxSync,))
@libraries
def test_a_redirect_that_a_hook_raises_for(binding: type[Session], library: str) -> None:
    with Peer([send(response(302, b"", "Location: http://elsewhere.test/"))]) as peer:
        with Given(binding, library, peer.url, raising(binding)) as given, pytest.raises(HestiaError) as refused:
            given.session.call("run", "x")
        assert refused.value.code == "HTTP_302"
        assert len(peer.requests) == 1
