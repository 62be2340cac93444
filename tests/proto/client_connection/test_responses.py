"""What a client's end makes of whole responses, in whatever pieces."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from exchanging import (
    EVENTS,
    HEALTH,
    HEALTH_BODY,
    STREAM,
    STREAM_HEAD,
    Cuts,
    asked,
    chunks,
    fails,
    listening,
    payloads,
    receive,
    response,
)

from hestiaos_proto import (
    AuthenticationFailed,
    GovernanceBlock,
    InvalidInput,
    LocalProtocolError,
    NotFound,
    Operation,
    RateLimited,
    RemoteProtocolError,
    Response,
    RunStream,
    ServerError,
    StatusError,
    StreamEvent,
    operations,
)


class TestResponses:
    @pytest.mark.parametrize(
        "data",
        [
            response(),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(HEALTH_BODY) + b"0\r\nX-T: 1\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n" + response(),
        ],
        ids=["length", "chunked with a trailer", "after a 1xx"],
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
            assert connection.result(operations.health()) == HEALTH

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
        assert connection.response is None
        receive(connection, response())
        assert connection.result(operations.health()) == HEALTH

    def test_without_a_length_it_goes_up_to_the_end_of_the_connection(self) -> None:
        for version in ("1.0", "1.1"):
            connection = asked()
            receive(connection, f"HTTP/{version} 200 OK\r\n\r\n".encode() + HEALTH_BODY)
            assert not connection.finished
            receive(connection, b"")
            assert connection.result(operations.health()) == HEALTH
            assert not connection.reusable

    def test_a_stream_up_to_the_end_of_the_connection(self) -> None:
        connection = listening()
        head = b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        assert receive(connection, head + b"".join(payloads())) == EVENTS
        assert not connection.finished
        assert receive(connection, b"") == []
        assert connection.finished
        assert connection.result(operations.run_stream("x")).text == "é"

    def test_the_stream_is_its_result(self) -> None:
        connection = listening()
        receive(connection, STREAM)
        stream = connection.result(operations.run_stream("x"))
        assert isinstance(stream, RunStream)
        assert (stream.text, stream.final) == ("é", {})

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
        assert connection.response is None
        receive(connection, STREAM_HEAD)
        assert isinstance(connection.response, Response)
        assert (connection.response.status, connection.response.content_type) == (200, "text/event-stream")

    def test_204_where_nothing_is_needed_and_where_something_is(self) -> None:
        connection = asked(operations.delete_secret("k"))
        receive(connection, b"HTTP/1.1 204 No Content\r\n\r\n")
        assert connection.result(operations.delete_secret("k")) is None
        connection.send(operations.health())
        _, error = fails(connection, b"HTTP/1.1 204 No Content\r\n\r\n")
        assert isinstance(error, RemoteProtocolError)
        assert "204" in error.message
        assert connection.reusable


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
                connection.result(operation)
        assert connection.reusable
        connection.send(operations.health())
        receive(connection, response())
        assert connection.result(operations.health()) == HEALTH

    def test_a_404_that_is_an_answer(self) -> None:
        connection = asked(operations.governance_trace("c"))
        receive(connection, response(b"", status="404 Not Found"))
        assert connection.result(operations.governance_trace("c")) is None

    def test_a_date_to_wait_for_counts_from_the_date_of_the_response(self) -> None:
        lines = ["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:49:40 GMT"]
        _, error = fails(asked(), response(b"", *lines, status="429 Slow"))
        assert isinstance(error, RateLimited)
        assert error.retry_after == 3.0

    def test_a_page_where_a_stream_belongs(self) -> None:
        connection = listening()
        _, error = fails(connection, response(b"<html>login", "Content-Type: text/html"))
        assert isinstance(error, RemoteProtocolError)
        assert "and text/html ('<html>login')" in error.message
        assert connection.reusable

    def test_a_body_that_does_not_fit(self) -> None:
        connection = asked()
        _, error = fails(connection, response(b'{"status":"ok"}'))
        assert "'version' is missing" in str(error)
        assert connection.reusable


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
        ("body", "coding", "message"),
        [
            (b"nonsense", "gzip", "damaged"),
            (gzip.compress(HEALTH_BODY)[:-3], "gzip", "inside its compressed data"),
            (HEALTH_BODY, "br", "'br'"),
        ],
        ids=["damaged", "cut", "not asked for"],
    )
    def test_a_content_coding_that_cannot_be_decoded(self, body: bytes, coding: str, message: str) -> None:
        connection = asked()
        _, error = fails(connection, response(body, f"Content-Encoding: {coding}"))
        assert type(error) is RemoteProtocolError
        assert message in error.message
        assert connection.finished
        assert not connection.reusable


def test_answered_is_true_from_the_response_on() -> None:
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


def test_heads_whose_lines_end_with_lf_alone() -> None:
    """RFC 9112, section 2.2, lets a recipient take them."""
    connection = asked()
    data = b"HTTP/1.1 103 Early Hints\n\nHTTP/1.1 200 OK\nContent-Length: %d\n\n" % len(HEALTH_BODY) + HEALTH_BODY
    receive(connection, data)
    assert connection.result(operations.health()) == HEALTH


def test_two_heads_at_once() -> None:
    connection = asked()
    receive(connection, b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2 + response())
    assert connection.result(operations.health()) == HEALTH
    assert connection.reusable


@pytest.mark.parametrize("cut", range(1, 9))
def test_the_beginning_of_a_response_in_two_pieces(cut: int) -> None:
    connection = asked()
    receive(connection, response()[:cut], response()[cut:])
    assert connection.result(operations.health()) == HEALTH
