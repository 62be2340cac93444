"""What a caller gives, and what a client is when it is copied or half-built."""

from __future__ import annotations

import copy
import gc
import pickle
import socket
import ssl
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import anyio
import pytest

from hestiaos_proto import Config, operations
from tests.support.bindings import BINDINGS, HTTPX, HttpxSync, InProcess, Selectors
from tests.support.http_library import http
from tests.support.peer import Peer
from tests.support.places import certificates
from tests.support.scenario import fault
from tests.support.sessions import KEY, Session
from tests.support.steps import Request, Script, send
from tests.support.wire import GOOD_STREAM, RUN, ok

TIMEOUTS = '`run_stream(timeout=)` of `inf`, `nan`, `-1`, `"5"`, `10**400`'
COPIES = "pickling, `copy`, `deepcopy` of a client that was used or not"
REPR = "`repr` of a half-built client (error reporters show locals)"
URLS = "base URLs with `..`, `{}`, `<>`, upper-case host, leading zeros in the port"

WRONG_SECONDS = [
    *(float("inf"), float("-inf"), float("nan"), -1, -0.001, 0, 0.0, 10**400, 1e300, 10**9),
    *("5", "", b"5", [5], {}, object(), 5j, True, False, Decimal("NaN")),
]


@fault(TIMEOUTS, BINDINGS)
def test_wrong_timeouts(binding: type[Session]) -> None:
    """They are judged when the stream is asked for, before anything is sent, as those of the client are."""
    with Peer() as peer, binding(peer.url) as session:
        for wrong in WRONG_SECONDS:
            with pytest.raises((ValueError, TypeError), match="timeout"):
                session.stream("x", timeout=wrong)
            with pytest.raises((ValueError, TypeError), match="deadline"):
                binding(peer.url, deadline=wrong)
        gc.collect()
        for good in None, 10, 10.5, 999_999_999:
            assert session.stream("x", timeout=good).read()[1] is None
        assert peer.connections <= 1


@fault(TIMEOUTS, tuple(binding for binding in BINDINGS if binding is not Selectors))  # it has no options of a call
@pytest.mark.parametrize("name", ["timeout", "deadline"])
def test_wrong_timeouts_of_a_call(binding: type[Session], name: str) -> None:
    with Peer() as peer, binding(peer.url) as session:
        for wrong in WRONG_SECONDS:
            with pytest.raises((ValueError, TypeError), match=name):
                session.call("run", "x", **{name: wrong})
        assert session.call("run", "x", **{name: 10.5}).result in ("r", "processed: x")
        assert peer.connections <= 1


def new(binding: type[Session], url: str, **options: Any) -> Any:
    """A client that only its owner closes."""
    return (
        binding.new_client(url, **binding.options(options))
        if binding is HttpxSync
        else binding.async_client(url, **options)
    )


def use(binding: type[Session], client: Any, *, close: bool) -> None:
    if binding is HttpxSync:
        assert client.run("x").result == "r"
        if close:
            client.close()
        return

    async def main() -> None:
        assert (await client.run_async("x")).result == "r"
        if close:
            await client.aclose()

    anyio.run(main, backend=binding.backends[0])


COPIERS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {number}": lambda client, number=number: pickle.loads(pickle.dumps(client, number))
        for number in (2, 5)
    },
}
REAL = tuple(binding for binding in BINDINGS if binding.remote and binding is not Selectors)


@fault(COPIES, REAL)
@pytest.mark.parametrize("copier", COPIERS.values(), ids=COPIERS)
def test_copies(binding: type[Session], copier: Callable[[Any], Any]) -> None:
    with Peer() as peer:
        for used in False, True:
            peer.requests.clear()
            client = new(binding, peer.url, headers={"X-Own": "own"}, retries=0, timeout=7.0)
            if used:
                use(binding, client, close=False)
            twin = copier(client)
            assert type(twin) is type(client)
            assert repr(twin) == repr(client)
            before = peer.connections
            use(binding, twin, close=True)
            assert peer.connections == before + 1
            use(binding, client, close=True)  # the close of the one is not the other's
            for request in peer.requests:
                assert request.headers["authorization"] == f"Bearer {KEY}"
                assert request.headers["x-own"] == "own"
            again = copier(twin)  # of one that is closed: it is open
            use(binding, again, close=True)


@fault(COPIES, REAL)
def test_contents_of_a_pickle(binding: type[Session]) -> None:
    client = new(binding, "http://localhost")
    for number in range(pickle.HIGHEST_PROTOCOL + 1):
        assert KEY.encode() not in pickle.dumps(client, number)
    assert KEY not in repr(client.__reduce_ex__(2))


@fault(COPIES, REAL)
def test_arguments_that_cannot_be_pickled(binding: type[Session]) -> None:
    _, trusting = certificates()
    with Peer() as peer:
        for name, value in travellers(binding):
            client = made(binding, peer.url, name, value, trusting)
            for copier in (copy.copy, copy.deepcopy, pickle.dumps):
                with pytest.raises(TypeError, match=name):
                    copier(client)
        assert peer.connections == 0


def travellers(binding: type[Session]) -> list[tuple[str, object]]:
    if binding not in HTTPX:
        return [("ssl_context", None), ("transport", Responding())]
    transport = http.MockTransport(lambda request: None)
    client = http.Client() if binding is HttpxSync else http.AsyncClient()
    return [("verify", None), ("transport", transport), ("http_client", client)]


class Responding:
    """A transport of a client of an event loop, with something in it that cannot be pickled."""

    def __init__(self) -> None:
        self.lock = certificates()[0]

    def exchange(self, request: Any) -> Any: ...


def made(binding: type[Session], url: str, name: str, value: object, context: ssl.SSLContext) -> Any:
    options = {"ssl_context": context} if value is None else {name: value}
    return new(binding, url, **options)


@fault(REPR, REAL)
def test_a_client_whose_constructor_raised(binding: type[Session]) -> None:
    """Whatever an error reporter shows of a constructor that raises."""
    kind = type(new(binding, "http://localhost"))
    assert kind.__name__ in repr(kind.__new__(kind))
    for options in (
        {"base_url": f"http://user:{KEY}@localhost"},
        {"api_key": KEY + "\n"},
        {"timeout": "x"},
        {"retries": -1},
        {"headers": {"bad name": "x"}},
        {"transport": object()},
        {"unknown": 1},
    ):
        with pytest.raises((ValueError, TypeError)) as wrong:
            kind(**({"base_url": "http://localhost"} | options))
        shown = "".join(traceback.TracebackException.from_exception(wrong.value, capture_locals=True).format())
        for line in shown.splitlines():
            if line.strip().startswith("self = "):
                assert "<exception" not in line
                assert "repr() failed" not in line


@fault(REPR, (*REAL, InProcess))
def test_the_repr_of_streams_and_clients(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        stream = session.stream("x")
        assert KEY not in repr(session.client)
        assert KEY not in repr(stream.native)
        stream.next()
        assert KEY not in repr(stream.native)
        stream.close()
        kind = type(stream.native)
        assert kind.__name__ in repr(kind.__new__(kind))


PATHS = [
    *("", "/", "//", "/a", "/a/", "/a//b", "/a/../b", "/..", "/../..", "/./a", "/a/.", "/%2e%2e/a", "/%2E"),
    *("/{}", "/{a}", "/<>", "/<a>", "/a|b", "/a^b", "/a`b", '/a"b', "/a\\b", "/a;b", "/a:b", "/a,b", "/a=b&c", "/%7B"),
    *("/%", "/%zz", "/%C3%A9", "/~a", "/a'b", "/(a)", "/[a]", "/a*b", "/$a", "/!a", "/a+b"),
]


@fault(URLS)
@pytest.mark.parametrize("zone", ["%25{}", "%{}"])
def test_an_ipv6_address_with_a_zone(binding: type[Session], zone: str) -> None:
    """It may be written as in URLs (RFC 6874) and as everywhere else, and is not the server's business."""
    index = min(index for index, name in socket.if_nameindex() if name.startswith("lo"))
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = listener.getsockname()[1]
    with Peer(listener=listener) as peer:
        peer.listen()
        with binding(f"http://[::1{zone.format(index)}]:{port}") as session:
            assert session.call("run", "x").result == "r"
    assert peer.requests[0].headers["host"] == f"[::1]:{port}"


@fault(URLS)
def test_paths(binding: type[Session]) -> None:
    """The request that the core makes of the base URL, from every binding; or no client."""
    with Peer(answer=answer_anywhere) as peer:
        for path in PATHS:
            check_request(binding, peer, peer.url + path)


@fault(URLS)
def test_spellings_of_an_authority(binding: type[Session], monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are looked up without a name server, which may answer late."""
    look_up = socket.getaddrinfo

    def look_up_here(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in ("local_host", "a..b", "-a"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up("localhost" if name == "localhost." else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)
    with Peer(answer=answer_anywhere) as peer:
        port = peer.authority.partition(":")[2]
        for authority in (
            *(
                f"127.0.0.1:0{port}",
                f"127.0.0.1:000{port}",
                f"LOCALHOST:{port}",
                f"LocalHost:{port}",
                f"localhost.:{port}",
            ),
            *(f"127.0.0.1:+{port}", f"127.0.0.1: {port}", "127.0.0.1:", f"127.0.0.1:{port}x", f"127.1:{port}"),
            *(f"[::ffff:127.0.0.1]:{port}", f"[::1:{port}", f"local_host:{port}", f"a..b:{port}", f"-a:{port}"),
        ):
            for scheme in "http", "HTTP", "Http":
                check_request(binding, peer, f"{scheme}://{authority}/a")


def answer_anywhere(request: Request) -> Script:
    return [send(GOOD_STREAM if request.target.endswith("/stream") else ok(RUN))]


def check_request(binding: type[Session], peer: Peer, url: str) -> None:
    try:
        config = Config(base_url=url)
    except ValueError:
        with pytest.raises(ValueError, match="base URL"):
            binding(url)
        return
    peer.requests.clear()
    with binding(url, timeout=5.0) as session:
        try:
            session.call("run", "x")
            session.stream("x").read()
        except ConnectionError:
            assert peer.requests == []
            return
    expected = operations.run("x").request(config)
    assert [request.target for request in peer.requests] == [expected.target, expected.target + "/stream"], url
    assert {request.headers["host"] for request in peer.requests} == {config.origin.partition("://")[2]}, url
