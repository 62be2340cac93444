"""What a client's end makes of a connection that ends early, is lost, or carries no HTTP."""

from __future__ import annotations

from random import Random

import h11
import pytest
from exchanging import (
    EVENTS,
    HEALTH,
    STREAM,
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
    ClientConnection,
    Config,
    ConnectionLost,
    LocalProtocolError,
    RemoteProtocolError,
    Runtime,
    Send,
    StreamInterrupted,
    TimedOut,
    call_flow,
    operations,
)
from hestiaos_proto._connection.heads import MAX_HEAD_SIZE


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
            assert fault_of(connection) is error
            assert connection.finished
            assert not connection.reusable
            with pytest.raises(ConnectionLost):
                connection.result(operations.health())

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
            if whole == len(EVENTS):  # nothing is missing after `done`
                assert receive(connection, *pieces, b"") == EVENTS
                assert connection.result(operations.run_stream("x")).final == {}
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
        assert connection.result(operations.health()) == HEALTH
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
                connection.result(operations.health())

    def test_in_a_stream_after_the_events_that_arrived_whole(self) -> None:
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
        for served, first, stale in (
            (0, b"", False),
            (1, b"", True),
            (1, b"H", False),
            (1, response()[:-1], False),
            (2, b"", True),
        ):
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
        steps = call_flow(
            operations.health(), Config(), Runtime(lambda: now[0], lambda: 0.0, Random(1)), options={"deadline": 5.0}
        )
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
            "101 without an upgrade",
            "two lengths",
            "negative length",
            "another transfer coding",
            "chunk size",
            "chunk without CRLF",
        ],
    )
    def test_it_is_an_error_that_stays(self, data: bytes) -> None:
        for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
            for operation in (operations.health(), operations.run_stream("x")):
                connection = asked(operation)
                _, error = fails(connection, *pieces)
                assert type(error) is RemoteProtocolError
                assert fault_of(connection) is error
                assert connection.finished
                assert not connection.reusable
                connection.receive_data(response())
                with pytest.raises(RemoteProtocolError):
                    connection.result(operation)
                with pytest.raises(LocalProtocolError, match="open a new one") as refused:
                    connection.send(operations.health())
                assert refused.value.__cause__ is error

    @pytest.mark.parametrize("cut", [b"xyz\r\n", b"1\r\nabc"], ids=["size", "CRLF"])
    def test_a_broken_chunk_of_a_stream_comes_after_its_events(self, cut: bytes) -> None:
        connection = listening()
        events, error = fails(connection, STREAM_HEAD + chunks(*payloads(EVENTS[:2])) + cut)
        assert events == EVENTS[:2]
        assert type(error) is RemoteProtocolError
        assert "the server broke HTTP/1.1" in error.message

    def test_it_is_found_before_the_end_of_a_line(self) -> None:
        assert type(fails(asked(), b"<")[1]) is RemoteProtocolError
        assert type(fails(asked(), b"HTTP", b"!")[1]) is RemoteProtocolError


def test_a_connection_that_is_lost_before_anything_was_sent_is_not_stale() -> None:
    connection, lost = ClientConnection(), ConnectionLost("x")
    connection.connection_lost(lost)
    assert lost.stale is False


@pytest.mark.parametrize(
    ("pieces", "message"),
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
def test_the_error_for_what_is_not_a_response(pieces: list[bytes], message: str) -> None:
    _, fault = fails(asked(), *pieces)
    assert fault.message.startswith(message)
