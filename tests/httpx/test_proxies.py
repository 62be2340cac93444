"""Proxies that are spoken to over TLS, and their passwords, for calls and streams of both kinds of client."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hestiaos import AsyncClient, Client, ConnectFailed
from tests.support.environment import environment
from tests.support.peer import Peer, good_answer
from tests.support.places import HOST, certificates
from tests.support.proxies import TUNNEL
from tests.support.steps import Connection, Ended, Request, Script, send

Use = Callable[..., tuple[str, str]]


class TLSInside:
    """The server's side of TLS over a socket that speaks TLS already, which `ssl.SSLContext.wrap_socket` cannot do."""

    def __init__(self, sock: Any, context: ssl.SSLContext) -> None:
        self.under = sock
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._to_send, server_side=True)
        self._carry_out(self._tls.do_handshake)

    def recv(self, size: int) -> bytes:
        try:
            return self._carry_out(partial(self._tls.read, size))
        except ssl.SSLEOFError:  # the client says nothing before it leaves
            return b""

    def sendall(self, data: bytes) -> None:
        self._carry_out(partial(self._tls.write, data))

    def close(self) -> None:
        self.under.close()

    def _carry_out(self, operation: Callable[[], Any]) -> Any:
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                self.under.sendall(self._to_send.read())
                if data := self.under.recv(65536):
                    self._received.write(data)
                else:
                    self._received.write_eof()
            else:
                self.under.sendall(self._to_send.read())
                return result


def tunneling_inside(context: ssl.SSLContext) -> Callable[[Request], Script]:
    """The answer of a CONNECT proxy over TLS, which is the server at its other end as well."""

    def start_tls(connection: Connection) -> None:
        try:
            connection.sock = TLSInside(connection.sock, context)
        except OSError:
            raise Ended from None

    def answer(request: Request) -> Script:
        return [send(TUNNEL), start_tls] if request.method == "CONNECT" else good_answer(request)

    return answer


def use(url: str, **options: Any) -> tuple[str, str]:
    """A call's result and a stream's text."""
    with Client(url, retries=0, timeout=50.0, **options) as client, client.run_stream("x") as stream:
        result = client.run("x").result
        assert [event.type for event in stream][-1] == "done"
        return result, stream.text


def use_async(url: str, **options: Any) -> tuple[str, str]:
    """As `use`, in an event loop."""

    async def main() -> tuple[str, str]:
        async with AsyncClient(url, retries=0, timeout=50.0, **options) as client, client.run_stream("x") as stream:
            result = (await client.run_async("x")).result
            assert [event.type async for event in stream][-1] == "done"
            return result, stream.text

    return asyncio.run(main())


USES = pytest.mark.parametrize("use", [use, use_async])


@USES
def test_an_https_proxy_to_an_http_server(use: Use) -> None:
    serving, trusting = certificates()
    with Peer(tls=serving) as proxy, environment({"http_proxy": proxy.url}):
        assert use(f"http://{HOST}", verify=trusting) == ("r", "a")
        assert {request.target.partition("/api")[0] for request in proxy.requests} == {f"http://{HOST}"}


@USES
def test_an_https_proxy_to_an_https_server(use: Use) -> None:
    """TLS in TLS, and one connection for both requests."""
    serving, trusting = certificates()
    with Peer(tls=serving, answer=tunneling_inside(serving)) as proxy, environment({"https_proxy": proxy.url}):
        assert use(f"https://{HOST}", verify=trusting) == ("r", "a")
        methods = [(request.method, request.target) for request in proxy.requests]
        assert methods == [
            ("CONNECT", f"{HOST}:443"),
            ("POST", "/api/v1/run"),
            ("POST", "/api/v1/run/stream"),
        ]


@USES
@pytest.mark.parametrize("kind", ["http", "https"])
def test_an_https_proxy_that_is_not_trusted(use: Use, kind: str) -> None:
    serving, _ = certificates()
    trusting_none = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with Peer(tls=serving) as proxy, environment({f"{kind}_proxy": proxy.url}):
        with pytest.raises(ConnectFailed, match="certificate") as failed:
            use(f"{kind}://{HOST}", verify=trusting_none)
        assert proxy.authority in failed.value.message
        assert proxy.requests == []


@USES
def test_a_server_that_is_not_trusted_through_a_trusted_proxy(use: Use) -> None:
    serving, trusting = certificates()
    with Peer(tls=serving, answer=tunneling_inside(serving)) as proxy, environment({"https_proxy": proxy.url}):
        with pytest.raises(ConnectFailed, match="certificate"):
            use("https://elsewhere.test", verify=trusting)
        assert [request.method for request in proxy.requests] == ["CONNECT"]


@USES
@pytest.mark.parametrize(("login", "credentials"), [("u:p", "u:p"), ("u%40h:p%C3%A4%3A%2F", "u@h:pä:/"), ("u", "u:")])
def test_a_password_of_a_proxy(use: Use, login: str, credentials: str) -> None:
    with Peer() as proxy, environment({"HTTP_PROXY": f"http://{login}@{proxy.authority}"}):
        assert use(f"http://{HOST}") == ("r", "a")
        expected = f"Basic {base64.b64encode(credentials.encode()).decode()}"
        assert [request.headers["proxy-authorization"] for request in proxy.requests] == [expected] * 2
