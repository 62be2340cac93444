"""What a server's end makes of bytes that are not HTTP, and of calls in the wrong order."""

from __future__ import annotations

import json
import traceback

import pytest
from serving import (
    EVENTS,
    GET,
    HEALTH,
    STREAM,
    Client,
    serve,
)

from hestiaos_proto import (
    Control,
    EncodedResponse,
    LocalProtocolError,
    NotFound,
    RemoteProtocolError,
    ServerConnection,
)


class TestNoHttp:
    @pytest.mark.parametrize(
        "data",
        [
            b"garbage\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"POST /api/chat HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        ],
        ids=[
            "garbage",
            "TLS",
            "HTTP/0.9",
            "no host",
            "no colon",
            "space before the colon",
            "two hosts",
            "two lengths",
            "negative length",
            "a length of 5,000 digits",
            "another transfer coding",
            "chunk size",
        ],
    )
    def test_it_is_an_error_that_can_be_answered_once_and_stays(self, data: bytes) -> None:
        connection = ServerConnection()
        connection.receive_data(data)
        with pytest.raises(RemoteProtocolError, match=r"this is not an HTTP/1\.1 request") as caught:
            list(connection.events())
        with pytest.raises(RemoteProtocolError) as again:
            list(connection.events())
        assert again.value is caught.value
        status, headers, body = Client().read(connection.send(caught.value), end=True)
        assert status in (400, 501)
        assert headers["connection"] == "close"
        assert json.loads(body)["code"] == "BAD_REQUEST"
        assert connection.must_close
        with pytest.raises(LocalProtocolError):
            connection.send(caught.value)

    @pytest.mark.parametrize(
        ("data", "line"),
        [
            (b"garbage\r\n\r\n", None),
            (b"GET /v1?a HTTP/1.1\r\nX : y\r\n\r\n", ("GET", "/v1?a")),
            (b"POST /v1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", ("POST", "/v1")),
        ],
        ids=["no line", "in the head", "in the body"],
    )
    def test_it_may_be_answered_in_another_form(self, data: bytes, line: tuple[str, str] | None) -> None:
        connection = ServerConnection(resources={"/v1": ("POST",)})
        assert (connection.refusal, connection.request_line) == (None, None)
        connection.receive_data(data)
        with pytest.raises(RemoteProtocolError) as caught:
            list(connection.events())
        assert connection.request_line == line
        assert connection.refusal is not None
        assert (connection.refusal.status_code, connection.refusal.message) == (400, caught.value.message)
        with pytest.raises(LocalProtocolError):
            connection.send(HEALTH)
        whole = EncodedResponse(400, (("Content-Length", "2"),), b"no")
        assert Client().read(connection.send(whole), end=True)[2] == b"no"

    def test_calls_before_it_are_answered_first(self) -> None:
        connection = ServerConnection()
        connection.receive_data(GET + b"garbage\r\n\r\n")
        events = connection.events()
        assert next(events).operation == "health"
        assert Client().read(connection.send(HEALTH))[0] == 200
        with pytest.raises(RemoteProtocolError):
            next(events)


class TestOutOfTurn:
    @pytest.mark.parametrize(
        "item", [HEALTH, NotFound(), EVENTS[0], Control.HEARTBEAT, None], ids=lambda i: type(i).__name__
    )
    def test_sending_without_a_call(self, item: object) -> None:
        connection = ServerConnection()
        with pytest.raises(LocalProtocolError, match="there is no request to respond to"):
            connection.send(item)
        serve(connection, GET)
        connection.send(HEALTH)
        with pytest.raises(LocalProtocolError, match="there is no request to respond to"):
            connection.send(item)

    def test_a_result_inside_a_stream(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        connection.send(EVENTS[0])
        with pytest.raises(LocalProtocolError):
            connection.send(None)

    def test_an_event_after_done(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        for event in EVENTS:
            connection.send(event)
        with pytest.raises(LocalProtocolError, match="there is no request to respond to"):
            connection.send(EVENTS[1])


def test_a_line_that_is_not_a_header_is_not_quoted_for_it_may_hold_a_key() -> None:
    connection = ServerConnection()
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer sk-4711\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match=r"HTTP/1.1 request: illegal header line$") as caught:
        list(connection.events())
    assert "4711" not in "".join(traceback.format_exception(caught.value))
    assert b"4711" not in connection.send(caught.value)
