"""Requests to receive, and an h11 client that reads what a server's end answers."""

from __future__ import annotations

from collections.abc import Iterable

import h11

from hestiaos_proto import (
    HealthResponse,
    RunStream,
    ServerConnection,
    ServerRequest,
    StreamEvent,
)

HEALTH = HealthResponse("ok", "1", 2)
GET = b"GET /api/v1/health HTTP/1.1\r\nHost: h\r\n\r\n"
EVENTS = [
    StreamEvent("start", {}, "t"),
    StreamEvent("token", {"text": "é"}, "t"),
    StreamEvent("final", {}, "t"),
    StreamEvent("done", {}, "t"),
]


def post(path: str = "/api/v1/run", body: bytes = b'{"input":"x"}', *lines: str, version: str = "1.1") -> bytes:
    head = [f"POST {path} HTTP/{version}", "Host: h", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def chunked(path: str, *chunks: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"


STREAM = post("/api/v1/run/stream")


def serve(connection: ServerConnection, data: bytes) -> ServerRequest:
    """The one call that is whole with `data`."""
    connection.receive_data(data)
    call = next(connection.events(), None)
    assert call is not None
    return call


def take(connection: ServerConnection, pieces: Iterable[bytes]) -> list[ServerRequest]:
    """The calls that are there with each of the pieces, of which none is answered."""
    calls = []
    for piece in pieces:
        connection.receive_data(piece)
        calls += connection.events()
    return calls


class Client:
    """An h11 client, which reads what the server wrote."""

    def __init__(self, method: str = "GET") -> None:
        self.h11 = h11.Connection(h11.CLIENT)
        self.h11.send(h11.Request(method=method, target="/", headers=[("Host", "h")]))
        self.h11.send(h11.EndOfMessage())

    def read(self, data: bytes, *, end: bool = False) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the one response."""
        self.h11.receive_data(data)
        if end:
            self.h11.receive_data(b"")
        response, body = None, b""
        while not isinstance(event := self.h11.next_event(), h11.EndOfMessage):
            assert event not in (h11.NEED_DATA, h11.PAUSED), "the response is not whole"
            if isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
        assert response is not None
        assert self.h11.trailing_data[0] == b""
        return response.status_code, {n.decode(): v.decode() for n, v in response.headers}, body


def read_stream(body: bytes) -> list[StreamEvent]:
    stream = RunStream()
    stream.receive_data(body)
    stream.receive_data(b"")
    return list(stream.events())
