"""Proxies that do not do what they should."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from hestiaos import ConnectFailed, HestiaError, TimedOut
from tests.support.bindings import HTTPX
from tests.support.environment import environment
from tests.support.expecting import within
from tests.support.peer import Peer
from tests.support.places import HOST, PROXY, Place, certificates
from tests.support.ports import refusing_url
from tests.support.proxies import (
    LOGIN,
    NO_LOGIN,
    SOCKS,
    socks_greeting,
    socks_login,
    socks_reply,
    socks_request,
    tunneling,
)
from tests.support.scenario import fault
from tests.support.sessions import Session
from tests.support.steps import Script, close, drip, flood, reset, send

ROW = "a SOCKS or CONNECT proxy that accepts and says nothing"
PASSWORD = "-".join(["pass", "1234", "word"])  # put together, so that no traceback shows it as a line of the source
SOON = 20.0  # seconds; much longer than the timeouts here, and shorter than a client's usual one


@fault(ROW, HTTPX)
@pytest.mark.parametrize("place", PROXY.values(), ids=PROXY)
def test_silent_and_slow(binding: type[Session], place: Place) -> None:
    for ask in call, read:
        within(0.2, lambda s, ask=ask: late(binding, place, ask, None, timeout=s))
        within(0.2, lambda s, ask=ask: late(binding, place, ask, f"{s:g} s", timeout=30.0, deadline=s))


def late(
    binding: type[Session], place: Place, ask: Callable[[Session], None], message: str | None, **options: float
) -> None:
    """The exchange that is held there is given up in time, and the next call is served."""
    with place() as held, environment(held.environ), binding(held.url, **options, **held.options) as session:
        begun = time.monotonic()
        with pytest.raises(TimedOut, match=message) as error:
            ask(session)
        assert time.monotonic() - begun < SOON
        assert not error.value.request_sent
        held.wait()  # else it ended before, and the next call would be held
        assert session.call("run", "x", timeout=30.0, deadline=60.0).result == "r"


def call(session: Session) -> None:
    session.call("run", "x")


def read(session: Session) -> None:
    session.stream("x").next()


def refused(binding: type[Session], url: str, environ: Mapping[str, str], proxy: str, **options: Any) -> None:
    """Each of the peer's faults is `ConnectFailed` that names the proxy, for a call and for a stream."""
    with environment(environ), binding(url, timeout=SOON, **options) as session:
        for ask in call, read:
            with pytest.raises(HestiaError) as failed:
                ask(session)
            assert type(failed.value) is ConnectFailed, repr(failed.value)
            assert proxy in str(failed.value)
            assert PASSWORD not in "".join(traceback.format_exception(failed.value))
            assert failed.value.__cause__ is not None
            assert not failed.value.request_sent
        assert session.call("run", "x").result == "r"


ANSWERS: dict[str, Script] = {
    "403": [send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")],
    "407": [send(b"HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 5\r\n\r\nlogin")],
    "502": [send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 100\r\n\r\ncut"), close],
    "302": [send(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere.test/\r\nContent-Length: 0\r\n\r\n")],
    "garbage": [send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")],
    "binary garbage": [send(bytes(range(128, 256)) + b"\r\n\r\n"), close],
    "HTTP/0.9": [send(b"<html>\r\n\r\n"), close],
    "no whole head": [send(b"HTTP/1.1 200 Connection est"), close],
    "an endless head": [send(b"HTTP/1.1 200 OK\r\nX: "), flood(b"x" * 65536, most=1 << 24), close],
    "a close": [close],
    "a reset": [reset],
    "no TLS after it": [send(b"HTTP/1.1 200 OK\r\n\r\n"), send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), close],
    "a close after it": [send(b"HTTP/1.1 200 OK\r\n\r\n"), close],
}


@fault(ROW, HTTPX)
@pytest.mark.parametrize("script", ANSWERS.values(), ids=ANSWERS)
def test_a_wrong_answer_to_connect(binding: type[Session], script: Script) -> None:
    serving, trusting = certificates()
    with Peer(script, script, answer=tunneling(serving)) as peer:
        environ = {"HTTPS_PROXY": f"http://user:{PASSWORD}@{peer.authority}"}
        refused(binding, f"https://{HOST}", environ, peer.authority, ssl_context=trusting)


REPLIES: dict[str, Script] = {
    "no method": [socks_greeting, send(b"\x05\xff")],
    "an unknown method": [socks_greeting, send(b"\x05\x80")],
    "garbage": [socks_greeting, send(b"HTTP/1.1 400 Bad Request\r\n\r\n")],
    "one byte": [socks_greeting, send(b"\x05"), close],
    "a close": [socks_greeting, close],
    "a reset": [socks_greeting, reset],
    "a close after the login": [socks_greeting, LOGIN, socks_login, close],
    "a refused login": [socks_greeting, LOGIN, socks_login, send(b"\x01\x01")],
    "a garbled login": [socks_greeting, LOGIN, socks_login, send(b"\xff")],
    **{
        f"code {code}": [socks_greeting, NO_LOGIN, socks_request, socks_reply(code)] for code in (*range(1, 9), 77, 255)
    },
    "an unknown kind of address": [socks_greeting, NO_LOGIN, socks_request, send(b"\x05\x00\x00\x07\x00\x00\x00\x00")],
    "a cut reply": [socks_greeting, NO_LOGIN, socks_request, send(b"\x05\x00\x00\x01"), close],
    "a garbled reply": [socks_greeting, NO_LOGIN, socks_request, send(b"\xff" * 10)],
    "a close instead of a reply": [socks_greeting, NO_LOGIN, socks_request, close],
}


@fault(ROW, HTTPX)
@pytest.mark.parametrize("opening", REPLIES.values(), ids=REPLIES)
def test_a_wrong_answer_to_socks(binding: type[Session], opening: Script) -> None:
    login = f"user:{PASSWORD}@" if any(step in opening for step in (LOGIN, socks_login)) else ""
    with Peer(opening=[socks_greeting, LOGIN, socks_login, send(b"\x01\x00"), *SOCKS[2:]] if login else SOCKS) as peer:
        peer.open_next(opening, opening)
        refused(binding, f"http://{HOST}", {"ALL_PROXY": f"socks5://{login}{peer.authority}"}, peer.authority)


@fault(ROW, HTTPX)
def test_a_socks_reply_in_pieces(binding: type[Session]) -> None:
    """The reply may be taken whole, or refused where the library under it reads it in one piece: no foreign error."""
    opening = [
        socks_greeting,
        drip(b"\x05\x00", 0.01),
        socks_request,
        drip(bytes([5, 0, 0, 1, 127, 0, 0, 1, 0, 80]), 0.01),
    ]
    with Peer(opening=SOCKS) as peer, environment({"ALL_PROXY": f"socks5://{peer.authority}"}):
        peer.open_next(opening)
        with binding(f"http://{HOST}", timeout=SOON) as session:
            try:
                assert session.call("run", "x").result == "r"
            except ConnectFailed as error:
                text = str(error)
            else:
                text = peer.authority
            assert peer.authority in text
            assert session.call("run", "x").result == "r"


@fault(ROW, HTTPX)
def test_no_proxy_at_its_address(binding: type[Session]) -> None:
    _, trusting = certificates()
    unused = refusing_url()
    for name, scheme in ("HTTP_PROXY", "http"), ("HTTPS_PROXY", "https"), ("ALL_PROXY", "http"):
        for proxy in unused, unused.replace("http", "socks5"), "http://nonexistent.invalid:3128":
            with environment({name: proxy}), binding(f"{scheme}://{HOST}", ssl_context=trusting) as session:
                with pytest.raises(ConnectFailed) as failed:
                    session.call("run", "x")
                assert proxy.partition("://")[2] in str(failed.value)


FORWARD: dict[str, Callable[[Peer], dict[str, str]]] = {
    "small letters": lambda peer: {"http_proxy": peer.url},
    "capitals": lambda peer: {"HTTP_PROXY": peer.url},
    "no scheme": lambda peer: {"HTTP_PROXY": peer.authority},
    "all": lambda peer: {"all_proxy": peer.url},
}


@fault(ROW, HTTPX)
@pytest.mark.parametrize("environ", FORWARD.values(), ids=FORWARD)
def test_a_good_forward_proxy(binding: type[Session], environ: Callable[[Peer], dict[str, str]]) -> None:
    """The control: what the others break works."""
    with Peer() as peer, environment(environ(peer)), binding(f"http://{HOST}") as session:
        assert session.call("run", "x").result == "r"
        assert session.stream("x").read()[1] is None
        assert {request.target.partition("/api")[0] for request in peer.requests} == {f"http://{HOST}"}
        assert peer.connections == 1


@fault(ROW, HTTPX)
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("login", ["", "user:pw@"])
def test_a_good_socks_proxy(binding: type[Session], scheme: str, login: str) -> None:
    opening = [socks_greeting, LOGIN, socks_login, send(b"\x01\x00"), *SOCKS[2:]] if login else SOCKS
    with Peer(opening=opening) as peer, environment({"ALL_PROXY": f"{scheme}://{login}{peer.authority}"}):  # noqa: SIM117
        with binding(f"http://{HOST}") as session:
            assert session.call("run", "x").result == "r"
            assert session.stream("x").read()[1] is None
            assert [request.target for request in peer.requests] == ["/api/v1/run", "/api/v1/run/stream"]
            assert peer.connections == 1
