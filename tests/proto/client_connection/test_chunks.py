"""Which streams' chunks go past h11."""

from __future__ import annotations

import h11
from exchanging import (
    EVENTS,
    STREAM_HEAD,
    asked,
    chunks,
    listening,
    payloads,
    receive,
)


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


def test_chunks_that_come_with_the_head_go_past_h11_too() -> None:
    connection = listening()
    events = receive(connection, STREAM_HEAD + chunks(*payloads()[:2]))
    assert events == EVENTS[:2]
    assert connection._chunks is not None
    assert receive(connection, chunks(*payloads()[2:]) + b"0\r\n\r\n") == EVENTS[2:]
