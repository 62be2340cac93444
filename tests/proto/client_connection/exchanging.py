"""Responses to receive, and what a client's end makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import h11
import pytest

from hestiaos_proto import (
    ClientConnection,
    Config,
    HealthResponse,
    HestiaError,
    Operation,
    StreamEvent,
    operations,
)

Cuts = Callable[[bytes], Iterator[list[bytes]]]

HEALTH = HealthResponse("ok", "1", 2)
HEALTH_BODY = b'{"status":"ok","version":"1","uptime_seconds":2}'
EVENTS = [
    StreamEvent("start", {}, "t"),
    StreamEvent("token", {"text": "é"}, "t"),
    StreamEvent("final", {}, "t"),
    StreamEvent("done", {}, "t"),
]
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def response(body: bytes = HEALTH_BODY, *lines: str, status: str = "200 OK", version: str = "1.1") -> bytes:
    head = [f"HTTP/{version} {status}", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def payloads(events: Iterable[StreamEvent] = EVENTS) -> list[bytes]:
    return [b"data: " + json.dumps(event.to_wire()).encode() + b"\n\n" for event in events]


STREAM = STREAM_HEAD + chunks(*payloads()) + b"0\r\n\r\n"


def asked(operation: Operation[Any] | None = None, **config: Any) -> ClientConnection:
    """A connection over which an operation was sent, by default `health`."""
    connection = ClientConnection(config=Config(**config))
    connection.send(operation or operations.health())
    return connection


def listening(**config: Any) -> ClientConnection:
    """A connection over which `run_stream` was sent."""
    return asked(operations.run_stream("x"), **config)


def receive(connection: ClientConnection, *pieces: bytes, events: list[StreamEvent] | None = None) -> list[StreamEvent]:
    """The events of all the pieces; those before a fault are in the list that was given."""
    events = [] if events is None else events
    for piece in pieces:
        connection.receive_data(piece)
        for event in connection.events():
            events.append(event)
    return events


def fails(connection: ClientConnection, *pieces: bytes) -> tuple[list[StreamEvent], HestiaError]:
    """The events that come before the fault, and the fault; `events` raises it again at every later call."""
    events: list[StreamEvent] = []
    with pytest.raises(HestiaError) as caught:
        receive(connection, *pieces, events=events)
    for _ in range(2):
        with pytest.raises(type(caught.value)) as again:
            list(connection.events())
        assert str(again.value) == str(caught.value)
    return events, caught.value


def fault_of(connection: ClientConnection) -> HestiaError:
    """The fault that came instead of a response."""
    with pytest.raises(HestiaError) as caught:
        _ = connection.response
    return caught.value


def parsed(data: bytes) -> tuple[str, str, dict[str, str], bytes]:
    """Method, target, headers and body as an h11 server reads them, from exactly one request."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    request, body = server.next_event(), b""
    assert isinstance(request, h11.Request)
    while not isinstance(event := server.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data), "the request is not whole"
        body += event.data
    assert server.trailing_data == (b"", False)
    headers = {name.decode(): value.decode() for name, value in request.headers}
    assert len(headers) == len(request.headers)
    return request.method.decode(), request.target.decode(), headers, body
