"""The client's end of a connection, against responses in whatever pieces, an h11 server, and our own server's end."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import h11
import pytest

from hestiaos_proto import (
    AgentResult,
    Ambient,
    AuthenticationFailed,
    ChatResponse,
    ClientConnection,
    Config,
    ConnectionLost,
    GovernanceBlock,
    HealthResponse,
    HestiaError,
    InvalidInput,
    LocalProtocolError,
    NotFound,
    Operation,
    RateLimited,
    RemoteProtocolError,
    Response,
    RunResponse,
    RunStream,
    Send,
    ServerConnection,
    ServerError,
    StatusError,
    StreamEvent,
    StreamInterrupted,
    SystemMetrics,
    SystemStatus,
    TimedOut,
    TraceResponse,
    call,
    operations,
)
from hestiaos_proto.connection.heads import MAX_HEAD_SIZE

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


def parsed(data: bytes) -> tuple[str, str, dict[str, str], bytes]:
    """Method, target, headers and body as an h11 server reads them, from one request and nothing else."""
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


class TestRequests:
    def test_a_get(self) -> None:
        method, target, headers, body = parsed(ClientConnection("http://h:81", "k-1").send(operations.health()))
        assert (method, target, body) == ("GET", "/api/v1/health", b"")
        assert headers["host"] == "h:81"
        assert headers["authorization"] == "Bearer k-1"
        assert headers["user-agent"].startswith("hestiaos-sdk/")
        assert "content-length" not in headers  # RFC 9110, section 8.6

    def test_a_post(self) -> None:
        method, target, headers, body = parsed(ClientConnection().send(operations.chat("é", session_id="s")))
        assert (method, target) == ("POST", "/api/chat")
        assert json.loads(body) == {"message": "é", "session_id": "s"}
        assert headers["content-length"] == str(len(body))
        assert headers["content-type"] == "application/json"
        assert "authorization" not in headers
        assert "transfer-encoding" not in headers

    def test_a_delete(self) -> None:
        method, target, headers, _ = parsed(ClientConnection().send(operations.delete_secret("k")))
        assert (method, target) == ("DELETE", "/api/secrets/k")
        assert "content-length" not in headers

    @pytest.mark.parametrize(
        ("key", "segment"),
        [
            ("../x", "..%2Fx"),
            ("..", "%2E%2E"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("100%", "100%25"),
            ("é\r\n 🏠", "%C3%A9%0D%0A%20%F0%9F%8F%A0"),
        ],
    )
    def test_a_path_parameter_is_one_segment(self, key: str, segment: str) -> None:
        assert parsed(ClientConnection().send(operations.get_secret(key)))[1] == f"/api/secrets/{segment}"

    @pytest.mark.parametrize(
        ("base_url", "host", "target"),
        [
            ("http://localhost:8000", "localhost:8000", "/api/v1/health"),
            ("https://h.example/", "h.example", "/api/v1/health"),
            ("http://h/hestia/v2/", "h", "/hestia/v2/api/v1/health"),
            ("http://[::1]:8000", "[::1]:8000", "/api/v1/health"),
        ],
    )
    def test_the_base_url(self, base_url: str, host: str, target: str) -> None:
        _, seen, headers, _ = parsed(ClientConnection(base_url).send(operations.health()))
        assert (seen, headers["host"]) == (target, host)

    def test_headers_of_the_config(self) -> None:
        connection = ClientConnection(config=Config(headers={"X-Team": "a", "User-Agent": "mine"}))
        headers = parsed(connection.send(operations.health()))[2]
        assert (headers["x-team"], headers["user-agent"]) == ("a", "mine")

    def test_an_idempotency_key(self) -> None:
        data = ClientConnection().send(operations.run("x"), idempotency_key="i-1")
        assert parsed(data)[2]["idempotency-key"] == "i-1"

    def test_a_step_of_a_call_is_taken_as_an_operation_is(self) -> None:
        config = Config(api_key="k-1", retries=1)
        steps = call(operations.run("x"), config, Ambient(lambda: 0.0, lambda: 0.0, Random(1)))
        step = next(steps)
        assert isinstance(step, Send)
        connection = ClientConnection(config=config)
        headers = parsed(connection.send(step))[2]
        assert len(headers["idempotency-key"]) == 32
        connection.receive_data(response(b"{}", status="503 Busy"))
        steps.send(connection.reply)
        again = steps.send(None)
        assert isinstance(again, Send)
        assert parsed(connection.send(again))[2]["idempotency-key"] == headers["idempotency-key"]

    def test_what_cannot_be_sent_leaves_the_connection_as_it_was(self) -> None:
        connection = ClientConnection()
        with pytest.raises(ValueError, match="surrogate"):
            connection.send(operations.run("\ud800"))
        assert connection.reusable


class TestResponses:
    @pytest.mark.parametrize(
        "data",
        [
            response(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(HEALTH_BODY) + b"0\r\nX-T: 1\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" + response(),
        ],
        ids=["length", "chunked with a trailer", "behind a 1xx"],
    )
    def test_in_whatever_pieces(self, data: bytes, cuts: Cuts) -> None:
        for pieces in cuts(data):
            connection = asked()
            for piece in pieces:
                assert not connection.finished
                assert not connection.reusable
                assert receive(connection, piece) == []
            assert connection.finished
            assert connection.reusable
            assert connection.result == HEALTH

    def test_a_stream_in_whatever_pieces(self, cuts: Cuts) -> None:
        events = [StreamEvent("start"), StreamEvent("final"), StreamEvent("done")]
        short = b"".join(b'data: {"type":"%b"}\n' % event.type.encode() for event in events)
        data = STREAM_HEAD + chunks(short[:9], short[9:]) + b"0\r\n\r\n"
        for pieces in cuts(data):
            connection = listening()
            assert receive(connection, *pieces) == events
            assert connection.finished
            assert connection.reusable

    @pytest.mark.parametrize(
        "first",
        [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3],
        ids=["none", "100", "103 three times"],
    )
    def test_informational_responses_before_it(self, first: bytes) -> None:
        connection = asked()
        receive(connection, *([first] if first else []))
        assert connection.reply is None
        receive(connection, response())
        assert connection.result == HEALTH

    def test_without_a_length_it_goes_up_to_the_end_of_the_connection(self) -> None:
        for version in ("1.0", "1.1"):
            connection = asked()
            receive(connection, f"HTTP/{version} 200 OK\r\n\r\n".encode() + HEALTH_BODY)
            assert not connection.finished
            receive(connection, b"")
            assert connection.result == HEALTH
            assert not connection.reusable

    def test_a_stream_up_to_the_end_of_the_connection(self) -> None:
        connection = listening()
        head = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        assert receive(connection, head + b"".join(payloads())) == EVENTS
        assert not connection.finished
        assert receive(connection, b"") == []
        assert connection.finished
        assert connection.result.text == "é"

    def test_the_stream_is_its_result(self) -> None:
        connection = listening()
        receive(connection, STREAM)
        assert isinstance(connection.result, RunStream)
        assert (connection.result.text, connection.result.final) == ("é", {})

    def test_after_done_a_heartbeat_is_the_end(self) -> None:
        connection = listening()
        receive(connection, STREAM_HEAD + chunks(*payloads()))
        assert not connection.finished
        receive(connection, chunks(b": heartbeat\n\n"))
        assert connection.finished
        assert not connection.reusable
        with pytest.raises(LocalProtocolError, match="open a new one"):
            connection.send(operations.health())

    def test_its_head_can_be_looked_at(self) -> None:
        connection = listening()
        assert connection.reply is None
        receive(connection, STREAM_HEAD)
        assert isinstance(connection.reply, Response)
        assert (connection.reply.status, connection.reply.content_type) == (200, "text/event-stream")

    def test_204_where_nothing_is_needed_and_where_something_is(self) -> None:
        connection = asked(operations.delete_secret("k"))
        receive(connection, b"HTTP/1.1 204 No Content\r\n\r\n")
        assert connection.result is None
        connection.send(operations.health())
        _, error = fails(connection, b"HTTP/1.1 204 No Content\r\n\r\n")
        assert isinstance(error, RemoteProtocolError)
        assert "204" in error.message
        assert connection.reusable


class TestKeepAlive:
    def test_one_operation_after_another(self) -> None:
        connection = ClientConnection()
        for _ in range(3):
            connection.send(operations.health())
            receive(connection, response())
            assert connection.result == HEALTH
            connection.send(operations.run_stream("x"))
            assert connection.reply is None
            assert receive(connection, STREAM) == EVENTS
            assert connection.result.final == {}
            assert connection.reusable

    @pytest.mark.parametrize(
        "data",
        [
            response(HEALTH_BODY, "Connection: close"),
            response(version="1.0"),
        ],
        ids=["Connection: close", "HTTP/1.0"],
    )
    def test_the_last_of_a_connection(self, data: bytes) -> None:
        connection = asked()
        receive(connection, data)
        assert connection.finished
        assert connection.result == HEALTH
        assert not connection.reusable
        with pytest.raises(LocalProtocolError, match="open a new one"):
            connection.send(operations.health())
        assert connection.result == HEALTH

    def test_the_server_closes_between_two_operations(self) -> None:
        connection = asked()
        receive(connection, response())
        assert connection.reusable
        receive(connection, b"")
        assert not connection.reusable
        assert connection.result == HEALTH

    def test_the_server_closes_before_the_first_operation(self) -> None:
        connection = ClientConnection()
        connection.receive_data(b"")
        assert not connection.reusable
        with pytest.raises(LocalProtocolError, match="open a new one"):
            connection.send(operations.health())


STATUSES = [
    (301, StatusError),
    (400, StatusError),
    (401, AuthenticationFailed),
    (403, GovernanceBlock),
    (404, NotFound),
    (422, InvalidInput),
    (429, RateLimited),
    (500, ServerError),
    (503, ServerError),
]


class TestStatuses:
    @pytest.mark.parametrize(("status", "kind"), STATUSES)
    @pytest.mark.parametrize("operation", [operations.health(), operations.run_stream("x")], ids=lambda o: o.name)
    def test_it_is_raised_by_events_and_result_and_the_connection_goes_on(
        self, operation: Operation[Any], status: int, kind: type[StatusError]
    ) -> None:
        body = b'{"error":"e","code":"C","message":"why","trace_id":"t-1"}'
        connection = asked(operation)
        _, error = fails(connection, response(body, "Retry-After: 7", status=f"{status} Status"))
        assert type(error) is kind
        assert isinstance(error, StatusError)
        assert (error.status_code, error.trace_id, error.body, error.retry_after) == (status, "t-1", body, 7.0)
        for _ in range(2):
            with pytest.raises(kind):
                _ = connection.result
        assert connection.reusable
        connection.send(operations.health())
        receive(connection, response())
        assert connection.result == HEALTH

    def test_a_404_that_is_an_answer(self) -> None:
        connection = asked(operations.governance_trace("c"))
        receive(connection, response(b"", status="404 Not Found"))
        assert connection.result is None

    def test_a_date_to_wait_for_counts_from_the_date_of_the_response(self) -> None:
        lines = ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:49:40 GMT"]
        _, error = fails(asked(), response(b"", *lines, status="429 Slow"))
        assert isinstance(error, RateLimited)
        assert error.retry_after == 3.0

    def test_a_page_where_a_stream_belongs(self) -> None:
        connection = listening()
        _, error = fails(connection, response(b"<html>login", "Content-Type: text/html"))
        assert isinstance(error, RemoteProtocolError)
        assert "text/html: '<html>login'" in error.message
        assert connection.reusable

    def test_a_body_that_does_not_fit(self) -> None:
        connection = asked()
        _, error = fails(connection, response(b'{"status":"ok","version":"1"}'))
        assert "'uptime_seconds' is missing" in str(error)
        assert connection.reusable


class TestClosed:
    DATA = b"HTTP/1.1 100 Continue\r\n\r\n" + response()

    @pytest.mark.parametrize("at", range(len(DATA)))
    def test_at_each_place_of_a_response(self, at: int) -> None:
        for pieces in ([self.DATA[:at]] if at else [], [self.DATA[i : i + 1] for i in range(at)]):
            connection = asked()
            events, error = fails(connection, *pieces, b"")
            assert events == []
            assert type(error) is ConnectionLost
            assert isinstance(error.__cause__, h11.RemoteProtocolError)
            assert connection.reply is error
            assert connection.finished
            assert not connection.reusable
            with pytest.raises(ConnectionLost):
                _ = connection.result

    def test_inside_a_chunk(self) -> None:
        _, error = fails(asked(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", b"")
        assert type(error) is ConnectionLost

    @pytest.mark.parametrize("at", range(len(STREAM)))
    def test_at_each_place_of_a_stream(self, at: int) -> None:
        # A last line without a line end counts as a line, so an event is whole with its closing brace.
        ends = [STREAM.index(payload) + len(payload.rstrip()) for payload in payloads()]
        whole = sum(end <= at for end in ends)
        for pieces in ([STREAM[:at]] if at else [], [STREAM[i : i + 1] for i in range(at)]):
            connection = listening()
            if whole == len(EVENTS):  # nothing is missing behind `done`
                assert receive(connection, *pieces, b"") == EVENTS
                assert connection.result.final == {}
            else:
                events, error = fails(connection, *pieces, b"")
                assert events == EVENTS[:whole]
                if at < len(STREAM_HEAD):
                    assert type(error) is ConnectionLost
                else:
                    assert isinstance(error, StreamInterrupted)
                    assert (error.events_received, error.last_event) == (whole, events[-1] if events else None)
                    assert isinstance(error.__cause__, ConnectionLost)
            assert connection.finished
            assert not connection.reusable

    @pytest.mark.parametrize("sent", range(len(EVENTS)))
    def test_a_stream_that_ends_cleanly_before_done(self, sent: int) -> None:
        connection = listening()
        body = STREAM_HEAD + chunks(*payloads(EVENTS[:sent])) + b"0\r\n\r\n"
        events, error = fails(connection, body)
        assert events == EVENTS[:sent]
        assert isinstance(error, StreamInterrupted)
        assert (error.events_received, error.__cause__) == (sent, None)
        assert connection.finished
        assert connection.reusable

    def test_a_result_that_was_whole_stays(self) -> None:
        connection = asked()
        receive(connection, response())
        connection.connection_lost(ConnectionLost("reset by the peer"))
        assert connection.result == HEALTH
        assert not connection.reusable


class TestConnectionLost:
    def test_it_is_raised_as_it_is(self) -> None:
        for pieces in ([], [response()[:20]], [response()[:-1]]):
            connection = asked()
            receive(connection, *pieces)
            error = TimedOut("no byte for 30 s")
            connection.connection_lost(error)
            assert connection.finished
            assert not connection.reusable
            assert fails(connection, response())[1] is error
            with pytest.raises(TimedOut):
                _ = connection.result

    def test_in_a_stream_behind_the_events_that_arrived_whole(self) -> None:
        connection = listening()
        connection.receive_data(STREAM_HEAD + chunks(*payloads(EVENTS[:2])))
        connection.connection_lost(TimedOut("no byte for 30 s"))
        seen = connection.events()
        assert [next(seen), next(seen)] == EVENTS[:2]
        with pytest.raises(TimedOut, match="no byte for 30 s"):
            next(seen)
        assert connection.finished

    def test_a_lost_connection_interrupts_a_stream(self) -> None:
        connection = listening()
        receive(connection, STREAM_HEAD + chunks(*payloads(EVENTS[:2])))
        lost = ConnectionLost("reset by the peer")
        connection.connection_lost(lost)
        with pytest.raises(StreamInterrupted) as caught:
            list(connection.events())
        assert caught.value.events_received == 2
        assert caught.value.__cause__ is lost

    def test_only_the_first_fault_counts(self) -> None:
        connection = asked()
        connection.connection_lost(TimedOut("first"))
        connection.connection_lost(ConnectionLost("second"))
        with pytest.raises(TimedOut, match="first"):
            list(connection.events())

    def test_it_is_stale_only_on_a_connection_that_served_before_and_before_anything_came(self) -> None:
        for served, first, stale in ((0, b"", False), (1, b"", True), (1, b"H", False), (2, b"", True)):
            connection = ClientConnection()
            for _ in range(served):
                connection.send(operations.health())
                receive(connection, response())
            connection.send(operations.health())
            _, error = fails(connection, *([first] if first else []), b"")
            assert isinstance(error, ConnectionLost)
            assert error.stale is stale

    def test_a_deadline_that_has_passed(self) -> None:
        now = [0.0]
        steps = call(operations.health(), Config(), Ambient(lambda: now[0], lambda: 0.0, Random(1)), deadline=5.0)
        connection = ClientConnection()
        step = next(steps)
        assert isinstance(step, Send)
        connection.send(step)
        receive(connection, response()[:-1])
        now[0] = 6.0
        assert type(fails(connection, response()[-1:])[1]) is TimedOut


class TestNoHttp:
    @pytest.mark.parametrize(
        "data",
        [
            b"garbage\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\x15\x03\x03\x00\x02\x02\x46",
            b"<html>HTTP/0.9",
            b"\r\nHTTP/1.1 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
            b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 OK\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}xx",
        ],
        ids=[
            "garbage",
            "SSH",
            "TLS",
            "HTTP/0.9",
            "an empty line first",
            "no colon",
            "space before the colon",
            "status of two digits",
            "no status",
            "101 that nobody asked for",
            "two lengths",
            "negative length",
            "another transfer coding",
            "chunk size",
            "chunk without CRLF",
        ],
    )
    def test_it_is_an_error_that_stays(self, data: bytes) -> None:
        for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
            for connection in (asked(), listening()):
                _, error = fails(connection, *pieces)
                assert type(error) is RemoteProtocolError
                assert connection.reply is error
                assert connection.finished
                assert not connection.reusable
                connection.receive_data(response())
                with pytest.raises(RemoteProtocolError):
                    _ = connection.result
                with pytest.raises(LocalProtocolError, match="open a new one") as refused:
                    connection.send(operations.health())
                assert refused.value.__cause__ is error

    @pytest.mark.parametrize("cut", [b"xyz\r\n", b"1\r\nabc"], ids=["size", "CRLF"])
    def test_a_broken_chunk_of_a_stream_comes_behind_its_events(self, cut: bytes) -> None:
        connection = listening()
        events, error = fails(connection, STREAM_HEAD + chunks(*payloads(EVENTS[:2])) + cut)
        assert events == EVENTS[:2]
        assert type(error) is RemoteProtocolError
        assert "the server broke HTTP/1.1" in error.message

    def test_it_is_found_before_the_end_of_a_line(self) -> None:
        assert type(fails(asked(), b"<")[1]) is RemoteProtocolError
        assert type(fails(asked(), b"HTTP", b"!")[1]) is RemoteProtocolError


class TestUnasked:
    def test_before_the_first_operation(self) -> None:
        connection = ClientConnection()
        connection.receive_data(b"220 mail.example ESMTP\r\n")
        assert not connection.reusable
        with pytest.raises(LocalProtocolError, match="open a new one") as refused:
            connection.send(operations.health())
        assert isinstance(refused.value.__cause__, RemoteProtocolError)

    @pytest.mark.parametrize("together", [True, False], ids=["in one piece", "later"])
    @pytest.mark.parametrize("ahead", [b"x", response()], ids=["a byte", "a response"])
    def test_behind_a_response_it_ends_the_connection_and_not_the_result(self, ahead: bytes, together: bool) -> None:
        for connection, data in ((asked(), response()), (listening(), STREAM)):
            receive(connection, *([data + ahead] if together else [data, ahead]))
            assert connection.finished
            assert not connection.reusable
            assert list(connection.events()) == []
            assert connection.result == HEALTH or connection.result.final == {}
            with pytest.raises(LocalProtocolError, match="open a new one") as refused:
                connection.send(operations.health())
            assert isinstance(refused.value.__cause__, RemoteProtocolError)


class TestLimits:
    @pytest.mark.parametrize("size", [MAX_HEAD_SIZE, MAX_HEAD_SIZE + 1])
    @pytest.mark.parametrize("step", [1, 1000, 10**9], ids=["byte by byte", "in pieces", "whole"])
    def test_a_head(self, size: int, step: int) -> None:
        line, end = b"HTTP/1.1 200 OK\r\nX: ", b"\r\nContent-Length: 48\r\n\r\n"
        head = line + b"x" * (size - len(line) - len(end)) + end
        assert len(head) == size
        assert len(HEALTH_BODY) == 48
        data, connection = head + HEALTH_BODY, asked()
        pieces = [data[i : i + step] for i in range(0, len(data), step)]
        if size <= MAX_HEAD_SIZE:
            receive(connection, *pieces)
            assert connection.result == HEALTH
        else:
            assert type(fails(connection, *pieces)[1]) is RemoteProtocolError
            assert not connection.reusable

    def test_a_head_that_never_ends(self) -> None:
        connection = asked()
        connection.receive_data(b"HTTP/1.1 200 OK\r\n")
        sent = 0
        while not connection.finished:
            connection.receive_data(b"X: " + b"x" * 996 + b"\r\n")
            sent += 1001
        assert sent <= MAX_HEAD_SIZE + 2002
        assert type(connection.reply) is RemoteProtocolError

    @pytest.mark.parametrize("extra", [0, 1])
    @pytest.mark.parametrize("form", ["length", "chunked", "gzip", "deflate"])
    def test_a_body(self, form: str, extra: int) -> None:
        body = HEALTH_BODY + b" " * extra
        data = {
            "length": response(body),
            "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(body[:9], body[9:]),
            "gzip": response(gzip.compress(body), "Content-Encoding: gzip"),
            "deflate": response(zlib.compress(body), "Content-Encoding: deflate"),
        }[form]
        connection = asked(max_body_size=len(HEALTH_BODY))
        if not extra:
            receive(connection, data, *([b"0\r\n\r\n"] if form == "chunked" else []))
            assert connection.result == HEALTH
        else:
            _, error = fails(connection, data)
            assert type(error) is RemoteProtocolError
            assert "larger than 48 bytes" in error.message
            assert connection.finished
            assert not connection.reusable

    def test_a_body_that_never_ends(self) -> None:
        connection = asked(max_body_size=1000)
        connection.receive_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(100):
            connection.receive_data(chunks(b"x" * 100))
        assert "larger than 1000 bytes" in str(connection.reply)
        assert connection.finished

    def test_a_bomb(self) -> None:
        bomb = gzip.compress(bytes(10**7))
        _, error = fails(asked(max_body_size=10**6), response(bomb, "Content-Encoding: gzip"))
        assert "larger than 1000000 bytes" in str(error)

    @pytest.mark.parametrize("together", [True, False], ids=["whole", "byte by byte"])
    def test_an_event_behind_those_before_it(self, together: bool) -> None:
        large = StreamEvent("token", {"text": "x" * 2000})
        data = STREAM_HEAD + chunks(*payloads([*EVENTS[:2], large]))
        pieces = [data] if together else [data[i : i + 1] for i in range(len(data))]
        events, error = fails(listening(max_event_size=1000), *pieces)
        assert events == EVENTS[:2]
        assert type(error) is RemoteProtocolError
        assert "longer than 1000 bytes" in error.message

    def test_an_event_over_several_lines(self) -> None:
        lines = b'data: {"type": "start", "data": {"x": [\n' + b"data: 1,\n" * 500
        _, error = fails(listening(max_event_size=1000), STREAM_HEAD + chunks(lines))
        assert "larger than 1000 bytes" in str(error)

    @pytest.mark.parametrize("trailer", [b"X: " + b"x" * MAX_HEAD_SIZE, b"x" * (MAX_HEAD_SIZE + 1)])
    def test_a_trailer_or_chunk_line_in_pieces(self, trailer: bytes) -> None:
        connection = asked()
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + trailer
        _, error = fails(connection, *[data[i : i + 4096] for i in range(0, len(data), 4096)], b"x" * 4096)
        assert type(error) is RemoteProtocolError


class TestCompression:
    @pytest.mark.parametrize("size", [1, 7, 10**6])
    def test_a_stream(self, size: int) -> None:
        packed = gzip.compress(b"".join(payloads()))
        head = STREAM_HEAD[:-2] + b"Content-Encoding: gzip\r\n\r\n"
        data = head + chunks(*[packed[i : i + size] for i in range(0, len(packed), size)]) + b"0\r\n\r\n"
        connection = listening()
        assert receive(connection, data) == EVENTS
        assert connection.reusable

    @pytest.mark.parametrize(
        ("body", "coding", "told"),
        [
            (b"nonsense", "gzip", "damaged"),
            (gzip.compress(HEALTH_BODY)[:-3], "gzip", "inside its compressed data"),
            (HEALTH_BODY, "br", "'br'"),
        ],
        ids=["damaged", "cut", "not asked for"],
    )
    def test_what_cannot_be_undone(self, body: bytes, coding: str, told: str) -> None:
        connection = asked()
        _, error = fails(connection, response(body, f"Content-Encoding: {coding}"))
        assert type(error) is RemoteProtocolError
        assert told in error.message
        assert connection.finished
        assert not connection.reusable


class TestOutOfTurn:
    @pytest.mark.parametrize("pieces", [[], [response()[:20]], [response()[:-1]]], ids=["at once", "head", "body"])
    def test_two_sends_in_a_row(self, pieces: list[bytes]) -> None:
        connection = asked()
        receive(connection, *pieces)
        with pytest.raises(LocalProtocolError, match="receive its response to the end before the next send"):
            connection.send(operations.run("x"))
        receive(connection, response()[sum(map(len, pieces)) :])
        assert connection.result == HEALTH

    def test_a_send_inside_a_stream(self) -> None:
        connection = listening()
        receive(connection, STREAM[:-5])
        with pytest.raises(LocalProtocolError, match="an operation is under way"):
            connection.send(operations.health())
        receive(connection, STREAM[-5:])
        connection.send(operations.health())

    def test_the_result_too_early(self) -> None:
        with pytest.raises(LocalProtocolError, match="there is no result yet: send an operation"):
            _ = ClientConnection().result
        connection = asked()
        for piece in (response()[:20], response()[20:-1]):
            receive(connection, piece)
            with pytest.raises(LocalProtocolError, match="receive_data until it is finished"):
                _ = connection.result
        receive(connection, response()[-1:])
        connection.send(operations.health())
        with pytest.raises(LocalProtocolError, match="there is no result yet"):
            _ = connection.result

    @pytest.mark.parametrize("data", [b"x", b""], ids=["data", "the end again"])
    def test_data_after_the_end(self, data: bytes) -> None:
        connection = asked()
        connection.receive_data(b"")
        for _ in range(2):
            with pytest.raises(LocalProtocolError, match="after the end of the connection: use a new one"):
                connection.receive_data(data)

    def test_events_before_anything(self) -> None:
        assert list(ClientConnection().events()) == []
        assert ClientConnection().finished
        assert ClientConnection().reusable
        assert list(asked().events()) == []


class TestSecrecy:
    KEY = "k-hunter2"

    def test_repr(self) -> None:
        connection = ClientConnection("http://h", self.KEY)
        seen = [repr(connection)]
        connection.send(operations.set_secret("n", "v-hunter2"))
        seen.append(repr(connection))
        connection.receive_data(b"")
        seen.append(repr(connection))
        assert seen == [f"ClientConnection('http://h', {state})" for state in ("free", "busy", "done for")]

    @pytest.mark.parametrize("operation", [operations.health(), operations.run_stream("x")], ids=lambda o: o.name)
    def test_what_the_server_repeats_is_masked(self, operation: Operation[Any]) -> None:
        for status in ("200 OK", "401 No"):
            connection = asked(operation, api_key=self.KEY)
            body = json.dumps({"message": f"bad key {self.KEY}", "status": self.KEY}).encode()
            _, error = fails(connection, response(body, status=status))
            assert self.KEY not in f"{error} {error!r} {vars(error)} {connection!r}"

    def test_a_payload_that_repeats_it(self) -> None:
        connection = listening(api_key=self.KEY)
        _, error = fails(connection, STREAM_HEAD + chunks(b"data: " + self.KEY.encode() + b"\n\n"))
        assert "***" in str(error)
        assert self.KEY not in str(error)


TRACE = TraceResponse("t", "ALLOW", [{"rule": "r"}], 1.5, reason="because", risk_score=0.25)
RUN = RunResponse("processed: x", "t", None, "ALLOW", 0.5, 12.0, extra={"later": [1]})
METRICS = SystemMetrics(
    {"cpu_percent": 1.0, "memory_percent": 2, "active_sessions": 3, "requests_total": 4, "avg_latency_ms": 5.5}
)
EXCHANGES: list[tuple[Operation[Any], dict[str, Any], object]] = [
    (operations.run("x", session_id="s", mode_hint="deep"), {"input": "x", "session_id": "s"}, RUN),
    (operations.health(), {}, HEALTH),
    (operations.trace("t/1"), {"trace_id": "t/1"}, TRACE),
    (operations.chat("hi"), {"message": "hi"}, ChatResponse("hello", "s", "t", 0.5, "m")),
    (
        operations.run_agent("a", "do", config={"n": 1}),
        {"config": {"n": 1}},
        AgentResult("done", "a", "t", "COMPLETED"),
    ),
    (operations.system_status(), {}, SystemStatus("ok", "1", 5, ollama=True)),
    (operations.system_config(), {}, {"a": {"b": None}}),
    (operations.system_metrics(), {}, METRICS),
    (operations.get_secret("é"), {"key": "é"}, "v"),
    (operations.set_secret("k", "v"), {"key": "k", "value": "v", "provider": "custom"}, None),
    (operations.delete_secret(".."), {"key": ".."}, None),
    (operations.explain("WRITE", {"path": "/x"}), {"command_input": {"path": "/x"}}, {"decision": "ALLOW"}),
    (operations.governance_status(), {}, {"drift": 0.1}),
    (operations.governance_trace("c"), {"command_id": "c"}, {"id": "c"}),
    (operations.governance_trace("none"), {"command_id": "none"}, None),
    (operations.run_stream("x", timeout_ms=5), {"input": "x", "timeout_ms": 5, "stream": True}, EVENTS),
]


class Wire:
    """A server's end and what it was asked, behind the two methods of a socket that the examples use."""

    def __init__(self, answers: Iterable[object] = (), *, piece: int = 10**6) -> None:
        self.server = ServerConnection()
        self.answers = iter(answers)
        self.calls: list[Any] = []
        self.piece = piece
        self._out = b""

    def sendall(self, data: bytes) -> None:
        for i in range(0, len(data), self.piece):
            self.server.receive_data(data[i : i + self.piece])
            for request in self.server.events():
                self.calls.append(request)
                result = next(self.answers)
                for item in result if request.operation == "run_stream" else [result]:
                    self._out += self.server.send(item)

    def recv(self, size: int) -> bytes:
        data, self._out = self._out[: min(size, self.piece)], self._out[min(size, self.piece) :]
        return data


class TestPaired:
    def test_all_fifteen_operations_are_here(self) -> None:
        assert {operation.name for operation, _, _ in EXCHANGES} == set(operations.__all__) - {"ModeHint", "Operation"}

    @pytest.mark.parametrize("piece", [1, 7, 10**6])
    def test_every_operation_over_one_connection(self, piece: int) -> None:
        wire = Wire([result for _, _, result in EXCHANGES], piece=piece)
        connection = ClientConnection("http://h", "k-1")
        for operation, arguments, result in EXCHANGES:
            wire.sendall(connection.send(operation))
            events = []
            while not connection.finished:
                events += receive(connection, wire.recv(65536))
            request = wire.calls[-1]
            assert (request.operation, request.key) == (operation.name, "k-1")
            assert request.arguments.items() >= arguments.items()
            if operation.name == "run_stream":
                assert events == result
                assert connection.result.text == "é"
            else:
                assert events == []
                assert connection.result == result
                assert getattr(connection.result, "extra", {}) == getattr(result, "extra", {})
            assert connection.reusable

    @pytest.mark.parametrize(
        "error",
        [
            GovernanceBlock("t"),
            InvalidInput("no", "t", [{"loc": ["body"], "msg": "m"}]),
            NotFound(),
            AuthenticationFailed(),
            RateLimited(retry_after=3.0),
            ServerError("down", status_code=503),
            StatusError("teapot", status_code=418),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_every_exception(self, error: StatusError) -> None:
        wire, connection = Wire([error, HEALTH]), ClientConnection()
        wire.sendall(connection.send(operations.health()))
        _, seen = fails(connection, wire.recv(65536))
        assert type(seen) is type(error)
        assert isinstance(seen, StatusError)
        for name in ("status_code", "code", "message", "trace_id", "details", "retry_after"):
            assert getattr(seen, name) == getattr(error, name), name
        wire.sendall(connection.send(operations.health()))
        receive(connection, wire.recv(65536))
        assert connection.result == HEALTH

    def test_a_stream_that_fails_on_the_server(self) -> None:
        wire, connection = Wire([[EVENTS[0], GovernanceBlock("t")]]), ClientConnection()
        wire.sendall(connection.send(operations.run_stream("x")))
        events = receive(connection, wire.recv(65536))
        assert [event.type for event in events] == ["start", "error", "done"]
        assert events[1].data["code"] == "GOVERNANCE_BLOCK"
        assert connection.reusable

    def test_the_servers_last_word(self) -> None:
        server, connection = ServerConnection(max_body_size=10), ClientConnection()
        server.receive_data(connection.send(operations.run("a long input")))
        (request,) = server.events()
        _, error = fails(connection, server.send(request.refusal))
        assert isinstance(error, StatusError)
        assert error.status_code == 413
        assert not connection.reusable


# As the design shows them to whoever brings an event loop; the README has them too.
CLIENT_EXAMPLE = """
from hestiaos_proto import ClientConnection, operations

connection = ClientConnection("http://localhost:8000", api_key=None)
sock.sendall(connection.send(operations.run_stream("create a report")))
while not connection.finished:
    connection.receive_data(sock.recv(65536))
    for event in connection.events():          # StreamEvent
        print(event.type, event.data)

sock.sendall(connection.send(operations.system_status()))   # the same connection, kept alive
while not connection.finished:
    connection.receive_data(sock.recv(65536))
    for _ in connection.events(): ...
print(connection.result)                       # SystemStatus
"""
SERVER_EXAMPLE = """
from hestiaos_proto import ServerConnection

connection = ServerConnection()
connection.receive_data(data)
for call in connection.events():               # which operation, its arguments, key, headers
    out = connection.send(...)                 # a result, a StreamEvent, or an exception
"""


class TestExamples:
    @pytest.mark.parametrize("piece", [1, 10**6])
    def test_the_client(self, piece: int, capsys: pytest.CaptureFixture[str]) -> None:
        status = SystemStatus("ok", "1", 5)
        wire = Wire([EVENTS, status], piece=piece)
        exec(CLIENT_EXAMPLE, {"sock": wire})
        *streamed, last = capsys.readouterr().out.splitlines()
        assert streamed == [f"{event.type} {event.data}" for event in EVENTS]
        assert last == str(status)
        assert [request.operation for request in wire.calls] == ["run_stream", "system_status"]

    def test_the_server(self) -> None:
        # Of a deletion nothing but its success is told, so that even the dots of the example are an answer.
        client = ClientConnection()
        names: dict[str, Any] = {"data": client.send(operations.delete_secret("k"))}
        exec(SERVER_EXAMPLE, names)
        assert (names["call"].operation, names["call"].arguments) == ("delete_secret", {"key": "k"})
        receive(client, names["out"])
        assert client.result is None
        assert client.reusable


def test_answered_is_when_there_is_a_reply() -> None:
    connection = asked(operations.run_stream("x"))
    assert not connection.answered
    connection.receive_data(STREAM_HEAD)
    assert connection.answered
    assert not connection.finished
    whole = asked()
    whole.receive_data(response()[:-1])
    assert not whole.answered
    whole.receive_data(response()[-1:])
    assert whole.answered


def test_what_comes_behind_a_response_without_a_body_spoils_the_connection_only(cuts) -> None:
    for pieces in cuts(b"HTTP/1.1 204 No Content\r\n\r\nmore"):
        connection = asked(operations.delete_secret("k"))
        for piece in pieces:
            connection.receive_data(piece)
        assert connection.result is None
        assert not connection.reusable


def test_the_bytes_of_a_request() -> None:
    connection = ClientConnection("http://h.example:1/root", "sk-1")
    head, _, body = connection.send(operations.chat("x")).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[:2] == [b"POST /root/api/chat HTTP/1.1", b"Host: h.example:1"]
    assert b"Authorization: Bearer sk-1" in lines
    assert lines[-1] == b"Content-Length: %d" % len(body)


def test_a_stream_in_plain_chunks_goes_past_h11_and_nothing_else_does() -> None:
    connection = listening()
    receive(connection, STREAM_HEAD)
    assert connection._chunks is not None
    receive(connection, chunks(*payloads()))
    assert connection._h11.trailing_data == (b"", False)
    assert isinstance(connection._h11.next_event(), type(h11.NEED_DATA))
    receive(connection, b"0\r\n\r\n")
    assert connection._chunks is None
    assert connection.reusable

    for other in (listening(), asked()):
        receive(other, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 100\r\n\r\n")
        assert other._chunks is None
    plain = asked()
    receive(plain, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert plain._chunks is None


def test_heads_whose_lines_end_with_lf_alone() -> None:
    """RFC 9112, section 2.2, lets a recipient take them."""
    connection = asked()
    data = b"HTTP/1.1 103 Early Hints\n\nHTTP/1.1 200 OK\nContent-Length: %d\n\n" % len(HEALTH_BODY) + HEALTH_BODY
    receive(connection, data)
    assert connection.result == HEALTH


def test_two_heads_at_once() -> None:
    connection = asked()
    receive(connection, b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2 + response())
    assert connection.result == HEALTH
    assert connection.reusable


@pytest.mark.parametrize("cut", range(1, 9))
def test_the_beginning_of_a_response_in_two_pieces(cut: int) -> None:
    connection = asked()
    receive(connection, response()[:cut], response()[cut:])
    assert connection.result == HEALTH


def test_a_connection_that_is_lost_before_anything_was_sent_is_not_stale() -> None:
    connection, lost = ClientConnection(), ConnectionLost("x")
    connection.connection_lost(lost)
    assert lost.stale is False


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ([b"SSH-2.0-OpenSSH"], "the server does not speak HTTP/1.1"),
        ([b"HTTP/1.1 200 OK\r\nX\r\n\r\n"], "the server broke HTTP/1.1: illegal header line"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", b""], "the server closed the connection before the end of"),
        (
            [b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_SIZE + b"\r\n\r\n"],
            f"the response's headers are larger than {MAX_HEAD_SIZE} bytes",
        ),
    ],
    ids=["no HTTP", "a line without colon", "cut", "a head that is too large"],
)
def test_what_is_told_of_a_response_that_is_none(pieces: list[bytes], told: str) -> None:
    _, fault = fails(asked(), *pieces)
    assert fault.message.startswith(told)


def test_what_is_told_of_bytes_that_belong_to_no_response() -> None:
    early = ClientConnection()
    early.receive_data(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(LocalProtocolError, match="cannot be used again") as caught:
        early.send(operations.health())
    assert str(caught.value.__cause__).endswith("the server sent something that nobody asked for")

    late = asked()
    late.receive_data(response() + response())
    with pytest.raises(LocalProtocolError, match="cannot be used again") as caught:
        late.send(operations.health())
    assert str(caught.value.__cause__).endswith("the server sent more than the response")


def test_chunks_that_come_with_the_head_go_past_h11_too() -> None:
    connection = listening()
    events = receive(connection, STREAM_HEAD + chunks(*payloads()[:2]))
    assert events == EVENTS[:2]
    assert connection._chunks is not None
    assert receive(connection, chunks(*payloads()[2:]) + b"0\r\n\r\n") == EVENTS[2:]
