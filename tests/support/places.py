"""The places at which an exchange may be held before its request is on its way."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import trustme
from attrs import Factory, frozen

from tests.support.peer import Peer
from tests.support.ports import full_backlog
from tests.support.proxies import NO_LOGIN, SOCKS, TUNNEL, socks_greeting, socks_request, tunneling
from tests.support.steps import Connection, Step, drip, send, silence

HOST = "held.test"
_PATIENCE = 30.0


@frozen
class Held:
    """One place. The first exchange is held there until it is given up, or `free` is called; later ones are served."""

    url: str
    wait: Callable[[], None]
    """Wait until the exchange is there."""
    free: Callable[[], None] = lambda: None
    environ: Mapping[str, str] = Factory(dict)
    options: Mapping[str, Any] = Factory(dict)
    served: bool = True
    """Whether there is a server at all."""


class Arrival:
    """A step that notes that a connection has come to it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self, connection: Connection) -> None:
        self._event.set()

    def wait(self) -> None:
        assert self._event.wait(_PATIENCE), "the exchange does not come to this place"
        time.sleep(0.02)  # so that the client waits for what comes next


def hear(connection: Connection) -> None:
    """Wait for whatever the client says first."""
    connection.receive()


@cache
def certificates() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server at `HOST` or 127.0.0.1 shows, and what a client trusts it by."""
    authority = trustme.CA()
    serving, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(HOST, "127.0.0.1").configure_cert(serving)
    authority.configure_trust(trusting)
    return serving, trusting


@contextmanager
def name_lookup() -> Iterator[Held]:
    arrived, freed = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def hang(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
        if host not in (HOST, HOST.encode()) or flags & socket.AI_NUMERICHOST:  # which are not looked up
            return look_up(host, port, family, type, proto, flags)
        arrived.set()
        freed.wait()
        return look_up("127.0.0.1", port, family, type, proto, flags)

    def wait() -> None:
        assert arrived.wait(_PATIENCE), "no name is looked up"

    with Peer() as peer, patch.object(socket, "getaddrinfo", hang):
        try:
            yield Held(peer.url.replace("127.0.0.1", HOST), wait, freed.set)
        finally:
            freed.set()


@contextmanager
def tcp_connect() -> Iterator[Held]:
    with full_backlog() as url:
        yield Held(url, lambda: time.sleep(0.2), served=False)


@contextmanager
def tls_handshake(*steps: Step) -> Iterator[Held]:
    serving, trusting = certificates()
    arrival = Arrival()
    with Peer(tls=serving) as peer:
        peer.open_next([hear, arrival, *steps])
        yield Held(peer.url, arrival.wait, options={"ssl_context": trusting})


@contextmanager
def tunnel(*steps: Step) -> Iterator[Held]:
    """A CONNECT proxy that does this instead of its answer."""
    serving, trusting = certificates()
    arrival = Arrival()
    with Peer([*steps[:-1], arrival, steps[-1]], answer=tunneling(serving)) as peer:
        yield Held(
            f"https://{HOST}", arrival.wait, environ={"HTTPS_PROXY": peer.url}, options={"ssl_context": trusting}
        )


@contextmanager
def tls_to_the_proxy(*steps: Step) -> Iterator[Held]:
    serving, trusting = certificates()
    arrival = Arrival()
    with Peer(tls=serving) as peer:
        peer.open_next([hear, arrival, *steps])
        environ, options = {"HTTP_PROXY": peer.url}, {"ssl_context": trusting}
        yield Held(f"http://{HOST}", arrival.wait, environ=environ, options=options)


@contextmanager
def socks(*steps: Step) -> Iterator[Held]:
    """A SOCKS proxy that does this instead of its opening."""
    arrival = Arrival()
    with Peer(opening=SOCKS) as peer:
        peer.open_next([*steps[:-1], arrival, steps[-1]])
        yield Held(f"http://{HOST}", arrival.wait, environ={"ALL_PROXY": f"socks5://{peer.authority}"})


def slowly(data: bytes) -> Step:
    """One byte every 20 ms for a minute: each of them alone comes in time."""
    return drip(data.ljust(3000, b"\0"), 0.02)


_RECORD = b"\x16\x03\x03\x3f\xff"  # the head of a TLS record that is 16 KiB long

Place = Callable[[], AbstractContextManager[Held]]

DIRECT: dict[str, Place] = {
    "TCP connect": tcp_connect,
    "TLS handshake": lambda: tls_handshake(silence),
    "TLS handshake, slow": lambda: tls_handshake(slowly(_RECORD)),
}
"""The places that each binding has."""

PROXY: dict[str, Place] = {
    "CONNECT": lambda: tunnel(silence),
    "CONNECT, slow": lambda: tunnel(slowly(b"HTTP/1.1 200 " + b"x" * 3000)),
    "TLS handshake through CONNECT": lambda: tunnel(send(TUNNEL), hear, silence),
    "TLS handshake through CONNECT, slow": lambda: tunnel(send(TUNNEL), hear, slowly(_RECORD)),
    "TLS handshake with the proxy": lambda: tls_to_the_proxy(silence),
    "TLS handshake with the proxy, slow": lambda: tls_to_the_proxy(slowly(_RECORD)),
    "SOCKS greeting": lambda: socks(socks_greeting, silence),
    "SOCKS request": lambda: socks(socks_greeting, NO_LOGIN, socks_request, silence),
}
"""Those of a binding that uses the environment's proxies."""

LOOKUP: dict[str, Place] = {"name lookup": name_lookup}
"""Where the binding looks up names itself, as all but an embedder's own loop do."""
