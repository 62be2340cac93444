"""Which responses are read without h11, from the first byte or up to what is not plain."""

from __future__ import annotations

import pytest
from exchanging import (
    EVENTS,
    HEALTH,
    HEALTH_BODY,
    STREAM_HEAD,
    asked,
    chunks,
    fails,
    listening,
    payloads,
    receive,
    response,
)

from hestiaos_proto import ClientConnection, ConnectionLost, operations


def by_h11(connection: ClientConnection) -> bool:
    assert connection._reader is not None
    return connection._reader._h11 is not None


def test_a_plain_response() -> None:
    connection = asked()
    receive(connection, response())
    assert connection.result(operations.health()) == HEALTH
    assert not by_h11(connection)


@pytest.mark.parametrize("pieces", [[STREAM_HEAD, *map(chunks, payloads())], [STREAM_HEAD + chunks(*payloads())]])
@pytest.mark.parametrize(
    ("end", "plain"),
    [([b"0\r\n\r\n"], True), ([b"0\r\n", b"\r\n"], False), ([b"0\r\nX: y\r\n\r\n"], False), ([b"00\r\n\r\n"], False)],
)
def test_a_stream_in_plain_chunks(pieces: list[bytes], end: list[bytes], plain: bool) -> None:
    connection = listening()
    assert receive(connection, *pieces) == EVENTS
    assert not by_h11(connection)
    receive(connection, *end)
    assert by_h11(connection) is not plain
    assert connection.reusable


def test_h11_reads_what_follows_the_last_plain_chunk() -> None:
    connection = listening()
    receive(connection, STREAM_HEAD, chunks(*payloads()), b"0\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert by_h11(connection)
    assert not connection.reusable


@pytest.mark.parametrize(
    "data",
    [
        response(HEALTH_BODY, "X: \xe9"),
        response(HEALTH_BODY, "X: y", " folded"),
        response(HEALTH_BODY, f"Content-Length: {len(HEALTH_BODY)}"),
        response(HEALTH_BODY, "Connection: keep-alive, x"),
        response(version="1.0"),
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(),
    ],
)
def test_h11_reads_any_other_response_from_its_first_byte(data: bytes) -> None:
    connection = asked()
    receive(connection, data)
    assert connection.result(operations.health()) == HEALTH
    assert by_h11(connection)


def test_h11_reads_the_response_to_a_request_that_is_not_plain() -> None:
    connection = asked(headers={"Connection": "keep-alive"})
    receive(connection, response())
    assert connection.result(operations.health()) == HEALTH
    assert by_h11(connection)
    assert connection.reusable


def test_a_request_that_ends_the_connection() -> None:
    connection = asked(headers={"Connection": "close"})
    receive(connection, response())
    assert connection.result(operations.health()) == HEALTH
    assert not connection.reusable


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(HEALTH_BODY) + b"0\r\n\r\n"


@pytest.mark.parametrize("data", [response(), CHUNKED], ids=["length", "chunked"])
def test_a_connection_that_ends_inside_a_body_is_an_error(data: bytes) -> None:
    """`b""` ends the connection where it is received and a body where it is handed on; a cut must not become an end."""
    for cut in range(data.index(b"\r\n\r\n") + 4, len(data)):
        errors = []
        for headers in ({}, {"Connection": "keep-alive"}):
            connection = asked(headers=headers)
            _, error = fails(connection, data[:cut], b"")
            assert type(error) is ConnectionLost
            errors.append(str(error.__cause__))
        assert errors[0] == errors[1]


def test_h11_reads_a_head_that_comes_in_pieces() -> None:
    data = response()
    for cut in range(1, data.index(b"\r\n\r\n") + 4):
        connection = asked()
        receive(connection, data[:cut], data[cut:])
        assert connection.result(operations.health()) == HEALTH
        assert by_h11(connection)


def test_h11_takes_one_step_for_the_chunks_of_one_read() -> None:
    """What is not plain need not be slow: an interim response comes before the stream, and h11 reads both."""
    connection = listening()
    receive(connection, b"HTTP/1.1 103 Early Hints\r\n\r\n" + STREAM_HEAD)
    assert connection._reader is not None
    body = b"".join(payloads()[:3])
    assert list(connection._reader.read(chunks(*payloads()[:3]))) == [body]
    assert by_h11(connection)
