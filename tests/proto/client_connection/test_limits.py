"""Every buffer of a client's end is bounded."""

from __future__ import annotations

import gzip
import zlib

import pytest
from exchanging import (
    EVENTS,
    HEALTH,
    HEALTH_BODY,
    STREAM_HEAD,
    asked,
    chunks,
    fails,
    fault_of,
    listening,
    payloads,
    receive,
    response,
)

from hestiaos_proto import (
    RemoteProtocolError,
    StreamEvent,
    operations,
)
from hestiaos_proto._connection.heads import MAX_HEAD_SIZE


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
            assert connection.result(operations.health()) == HEALTH
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
        assert type(fault_of(connection)) is RemoteProtocolError

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
            assert connection.result(operations.health()) == HEALTH
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
        assert "larger than 1000 bytes" in str(fault_of(connection))
        assert connection.finished

    def test_a_decompression_bomb(self) -> None:
        bomb = gzip.compress(bytes(10**7))
        _, error = fails(asked(max_body_size=10**6), response(bomb, "Content-Encoding: gzip"))
        assert "larger than 1000000 bytes" in str(error)

    @pytest.mark.parametrize("together", [True, False], ids=["whole", "byte by byte"])
    def test_an_event_after_those_before_it(self, together: bool) -> None:
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
