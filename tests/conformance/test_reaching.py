"""The table "Reaching the server"."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest
import trustme

from hestiaos import ConnectFailed, ConnectionLost, HestiaError, TimedOut
from tests.support.bindings import BINDINGS
from tests.support.peer import Peer
from tests.support.ports import full_backlog, refusing_url
from tests.support.scenario import fault
from tests.support.selecting import SEED
from tests.support.sessions import KEY, Session
from tests.support.steps import close, send
from tests.support.wire import RUN, ok

_watched: dict[int, Callable[[], None]] = {}  # what happens before a connect to that port
_watching = False


def assert_foreign_cause(error: HestiaError) -> None:
    cause = error.__cause__
    assert cause is not None
    assert not isinstance(cause, HestiaError)


@fault("connection refused")
def test_a_refused_connection(binding: type[Session]) -> None:
    for url in refusing_url(), refusing_url("https"):
        with binding(url) as session:
            for call in (lambda: session.call("run", "x")), (lambda: session.stream("x").next()):
                with pytest.raises(ConnectFailed) as failed:
                    call()
                assert isinstance(failed.value, ConnectionError)
                assert not failed.value.request_sent
                assert url in str(failed.value)
                assert_foreign_cause(failed.value)


@fault("name does not resolve")
def test_an_unknown_host_name(binding: type[Session]) -> None:
    with binding("http://nonexistent.invalid:8000") as session:
        with pytest.raises(ConnectFailed, match=r"nonexistent\.invalid") as failed:
            session.call("health")
        assert_foreign_cause(failed.value)


@fault("connect hangs (full backlog)")
def test_a_connect_that_hangs(binding: type[Session]) -> None:
    with full_backlog() as url:
        with binding(url, timeout=0.3) as session:
            for call in (lambda: session.call("health")), (lambda: session.stream("x").next()):
                with pytest.raises(TimedOut) as late:
                    call()
                assert isinstance(late.value, TimeoutError)
                assert not late.value.request_sent
        with binding(url, deadline=0.3) as session, pytest.raises(TimedOut, match=r"0\.3 s"):
            session.call("health")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@fault("TLS: unknown authority, wrong host, plain HTTP on the TLS port")
def test_tls(binding: type[Session], authority: trustme.CA) -> None:
    ours = trusting(authority)
    with Peer(tls=serving(authority, "127.0.0.1")) as peer:
        with binding(peer.url, ssl_context=ours) as session:
            assert session.call("run", "x").result == "r"
            assert session.stream("x").read()[1] is None
        assert peer.connections == 1
        with binding(peer.url, ssl_context=ssl.create_default_context()) as session:
            assert_no_tls(session, "certificate verify failed")
        assert len(peer.requests) == 2
    with Peer(tls=serving(authority, "example.org")) as peer, binding(peer.url, ssl_context=ours) as session:
        assert_no_tls(session, "127.0.0.1|IP address")
        assert peer.requests == []
    refusal = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    with Peer(opening=[send(refusal)]) as peer, binding(peer.url.replace("http", "https"), ssl_context=ours) as session:
        assert_no_tls(session, "(?i)wrong.version.number|record layer|http.request")


def assert_no_tls(session: Session, message: str) -> None:
    with pytest.raises(ConnectFailed, match=message) as failed:
        session.call("run", "x")
    assert_foreign_cause(failed.value)
    with pytest.raises(ConnectFailed, match=message):
        session.stream("x").next()


@fault("base URL empty, without scheme, `ftp://`, with credentials, with a query", BINDINGS)
def test_wrong_base_url(binding: type[Session]) -> None:
    for url, message in (
        ("", "empty"),
        ("localhost:8000", "http://"),
        ("//localhost", "http://"),
        ("ftp://localhost", "http://"),
        ("http://user:value-0815@localhost", "credentials"),
        ("http://user@localhost", "credentials"),
        ("http://localhost?q=1", "query"),
        ("http://localhost/?", "query"),
    ):
        with pytest.raises(ValueError, match=message) as wrong:
            binding(url)
        assert "0815" not in str(wrong.value)


@fault("API key with a control character or non-ASCII", BINDINGS)
def test_wrong_api_key(binding: type[Session]) -> None:
    for wrong in "\n", "\r\nX: y", "\0", "\x7f", "\t", "é", "🔑", "\ud800":
        with pytest.raises(ValueError, match="API key") as refused:
            binding("http://localhost", api_key=KEY + wrong)
        assert KEY not in repr(refused.value)


@fault("kept-alive connection closed by the server between two calls")
def test_stale_connection(binding: type[Session]) -> None:
    with Peer([send(ok(RUN)), close], [send(ok(RUN))]) as peer, binding(peer.url) as session:
        session.call("run", "first")
        peer.wait_until_ended(1)
        # Nothing of this can have been processed, so that it goes out on a new connection though a repeat is not safe.
        assert session.call("run", "second").result == "r"
        assert peer.connections == 2
        assert [request.body.count(b"second") for request in peer.requests] == [0, 1]


@fault("kept-alive connection closed by the server between two calls")
def test_stale_connection_before_a_stream(binding: type[Session]) -> None:
    with Peer([send(ok(RUN)), close]) as peer, binding(peer.url) as session:
        session.call("run", "first")
        peer.wait_until_ended(1)
        assert session.stream("second").read()[1] is None
        assert peer.connections == 2


@fault("kept-alive connection closed by the server between two calls")
def test_connection_that_ends_as_the_request_arrives(binding: type[Session]) -> None:
    with Peer([send(ok(RUN))], [close]) as peer, binding(peer.url, retries=1) as session:
        session.call("run", "first")
        session.call("health")  # safe to repeat
        assert peer.connections == 2
        assert [request.connection for request in peer.requests] == [1, 1, 2]
        peer.add([close])
        with pytest.raises(ConnectionLost) as lost:  # the server may have begun with it
            session.call("run", "second")
        assert lost.value.request_sent
        assert len(peer.requests) == 4
        assert session.call("run", "third").result == "r"


@fault("refused twice, then accepting (`retries=3`)")
def test_a_connection_that_is_refused_twice(binding: type[Session]) -> None:
    for operation in "run", "run_stream":
        attempts: list[float] = []
        with refusing_twice(attempts) as peer, binding(peer.url, retries=3) as session:
            if operation == "run":
                assert session.call("run", "x").result == "r"
            else:
                assert [event.type for event in session.stream("x").read()[0]][-1] == "done"
            assert len(peer.requests) == 1
            assert len(attempts) == 3
        if binding.name == "selectors":  # its random numbers are handed in
            numbers = Random(SEED)
            numbers.getrandbits(128)  # the Idempotency-Key
            assert session.client.waits == [numbers.random() * 0.5, numbers.random() * 1.0]
        assert attempts[-1] - attempts[0] < 10 * (0.5 + 1.0)


@contextmanager
def refusing_twice(attempts: list[float]) -> Iterator[Peer]:
    """A port that refuses two connections. Python tells of each connect before it is made, by whichever library."""
    global _watching
    if not _watching:
        sys.addaudithook(watch_connects)  # there is no way to take it back
        _watching = True
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    peer = Peer(listener=listener)
    port = listener.getsockname()[1]

    def before_connect() -> None:
        attempts.append(time.monotonic())
        if len(attempts) == 3:
            peer.listen()

    _watched[port] = before_connect
    try:
        with peer:
            yield peer
    finally:
        del _watched[port]


def watch_connects(event: str, args: tuple[object, ...]) -> None:
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][1] in _watched:
        _watched[args[1][1]]()
