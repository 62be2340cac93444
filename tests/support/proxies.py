"""Proxies of every kind, played by a peer: what happens on a connection before it is the server's."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from tests.support.peer import good_answer
from tests.support.steps import Connection, Request, Script, Step, send, start_tls

TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


Answer = Callable[[Request], Script]


def tunneling(context: ssl.SSLContext, answer: Answer = good_answer) -> Answer:
    """What a CONNECT proxy answers that is also the server at its other end, which answers so."""

    def answer_connect(request: Request) -> Script:
        return [send(TUNNEL), start_tls(context)] if request.method == "CONNECT" else answer(request)

    return answer_connect


def socks_greeting(connection: Connection) -> None:
    """Read the methods that a client offers (RFC 1928, section 3)."""
    version, count = connection.read(2)
    assert version == 5
    connection.read(count)


def socks_request(connection: Connection) -> None:
    """Read what a client wants to connect to (RFC 1928, section 4)."""
    *_, kind = connection.read(4)
    connection.read({1: 4, 4: 16}.get(kind) or connection.read(1)[0])
    connection.read(2)


def socks_login(connection: Connection) -> None:
    """Read a user and a password (RFC 1929, section 2)."""
    connection.read(1)
    for _ in range(2):
        connection.read(connection.read(1)[0])


def socks_reply(code: int = 0) -> Step:
    """Say what has come of the request (RFC 1928, section 6)."""
    return send(bytes([5, code, 0, 1, 127, 0, 0, 1, 0, 80]))


NO_LOGIN = send(b"\x05\x00")
LOGIN = send(b"\x05\x02")

SOCKS: Script = [socks_greeting, NO_LOGIN, socks_request, socks_reply()]
"""The opening of a SOCKS proxy that is also the server at its other end."""
