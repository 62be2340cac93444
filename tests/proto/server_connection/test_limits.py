"""Every buffer of a server's end is bounded."""

from __future__ import annotations

import pytest
from serving import (
    GET,
    HEALTH,
    Client,
    chunked,
    post,
    serve,
    take,
)

from hestiaos_proto import (
    GovernanceBlock,
    LocalProtocolError,
    RemoteProtocolError,
    ServerConnection,
)
from hestiaos_proto._connection.heads import MAX_HEAD_SIZE


class TestLimits:
    def test_a_body_at_the_limit(self) -> None:
        body = b'{"input":"x"}'
        for data in (post(body=body), chunked("/api/v1/run", body[:5], body[5:])):
            assert serve(ServerConnection(max_body_size=len(body)), data).operation == "run"

    @pytest.mark.parametrize(
        "data",
        [
            post(body=b"x" * 11),
            post(body=b"x" * 11).partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
            b"POST /api/v1/run HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n",
            chunked("/api/v1/run", b"x" * 11),
            chunked("/api/v1/run", *[b"x"] * 11),
        ],
        ids=["whole", "by its length, before the body", "by a huge length", "one chunk", "many chunks"],
    )
    def test_a_body_over_the_limit_is_413_and_ends_the_connection(self, data: bytes) -> None:
        for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
            connection, calls = ServerConnection(max_body_size=10), []
            for piece in pieces:
                connection.receive_data(piece)
                calls += connection.events()
            (call,) = calls
            assert call.refusal is not None
            assert call.refusal.status_code == 413
            status, headers, _ = Client().read(connection.send(call.refusal), end=True)
            assert status == 413
            if "connection" in headers:
                assert connection.must_close

    def test_data_after_the_413_is_not_read(self) -> None:
        connection = ServerConnection(max_body_size=10)
        call = serve(connection, chunked("/api/v1/run", b"x" * 20)[:-5])
        connection.send(call.refusal)
        assert connection.must_close
        connection.receive_data(b"14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n" + GET)
        assert list(connection.events()) == []

    def test_a_body_that_never_ends_takes_no_more_memory_than_its_limit_and_a_piece(self) -> None:
        connection = ServerConnection(max_body_size=1000)
        connection.receive_data(b"POST /api/v1/run HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        calls = []
        for _ in range(100):
            connection.receive_data(b"64\r\n" + b"x" * 100 + b"\r\n")
            calls += connection.events()
        assert len(calls) == 1
        assert len(connection._reader.buffer) + len(connection._reader._body._data) <= 1200

    @staticmethod
    def head(size: int) -> bytes:
        start = b"GET /api/v1/health HTTP/1.1\r\nHost: h\r\nX: "
        return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"

    @pytest.mark.parametrize(
        "step", [MAX_HEAD_SIZE * 4, 1000, 65536, 65537], ids=["whole", "1,000", "65,536", "65,537"]
    )
    @pytest.mark.parametrize("size", [MAX_HEAD_SIZE, MAX_HEAD_SIZE + 1, MAX_HEAD_SIZE + 2, 2 * MAX_HEAD_SIZE])
    def test_a_head_over_64_kib_is_431_however_it_is_cut(self, size: int, step: int) -> None:
        data, connection = self.head(size), ServerConnection()
        assert len(data) == size
        try:
            for i in range(0, size, step):
                connection.receive_data(data[i : i + step])
                call = next(connection.events(), None)
        except RemoteProtocolError as error:
            answer = connection.send(error)
        else:
            assert call is not None
            answer = connection.send(call.refusal or HEALTH)
        assert Client().read(answer, end=True)[0] == (200 if size <= MAX_HEAD_SIZE else 431)
        assert connection.must_close == (size > MAX_HEAD_SIZE)


def test_pipelined_data_is_bounded() -> None:
    connection = ServerConnection(max_body_size=100)
    serve(connection, post())
    connection.receive_data(b"x" * (MAX_HEAD_SIZE + 100))
    with pytest.raises(RemoteProtocolError, match="too much pipelined data"):
        connection.receive_data(b"x")


def test_a_refusal_for_the_size_is_a_call_with_headers_and_nothing_else() -> None:
    call = serve(ServerConnection(max_body_size=5), post(body=b'{"a":1}'))
    assert (call.operation, call.arguments, call.headers["host"]) == ("", {}, "h")
    assert call.refusal is not None
    assert call.refusal.message == "the body is larger than 5 bytes"


@pytest.mark.parametrize("step", [1000, 10**6])
def test_a_first_line_over_64_kib_is_431(step: int) -> None:
    connection, data = ServerConnection(), b"GET /" + b"x" * MAX_HEAD_SIZE + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    with pytest.raises(RemoteProtocolError, match=f"larger than {MAX_HEAD_SIZE} bytes") as caught:
        take(connection, (data[start : start + step] for start in range(0, len(data), step)))
    assert connection.send(caught.value).startswith(b"HTTP/1.1 431 ")


def test_without_a_body_even_the_smallest_limit_holds() -> None:
    assert serve(ServerConnection(max_body_size=0), GET).operation == "health"


def test_pipelined_data_is_counted_from_zero_for_each_call() -> None:
    connection, limit = ServerConnection(max_body_size=1000), MAX_HEAD_SIZE + 1000
    for _ in range(3):
        serve(connection, GET)
        connection.receive_data(GET)
        assert b" 200 " in connection.send(HEALTH)
        assert next(connection.events()).operation == "health"
        assert b" 200 " in connection.send(HEALTH)
    serve(connection, GET)
    connection.receive_data(b"x" * limit)
    with pytest.raises(RemoteProtocolError, match="too much pipelined data"):
        connection.receive_data(b"x")


def test_pipelined_data_is_bounded_over_many_calls() -> None:
    connection, piece = ServerConnection(max_body_size=0), GET * (MAX_HEAD_SIZE // len(GET))
    connection.receive_data(GET)
    assert next(connection.events()).operation == "health"
    connection.receive_data(piece)
    connection.send(HEALTH)
    assert next(connection.events()).operation == "health"
    with pytest.raises(RemoteProtocolError, match="too much pipelined data"):
        connection.receive_data(piece)
    assert len(connection._reader.buffer) <= MAX_HEAD_SIZE


def test_too_much_pipelined_data_makes_the_response_the_last() -> None:
    connection = ServerConnection(max_body_size=10)
    serve(connection, GET)
    with pytest.raises(RemoteProtocolError, match="too much pipelined data") as caught:
        connection.receive_data(b"x" * 70_000)
    assert connection.must_close
    status, headers, _ = Client().read(connection.send(HEALTH), end=True)
    assert (status, headers["connection"]) == (200, "close")
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as again:
            connection.receive_data(b"DELETE /api/secrets/k HTTP/1.1\r\nHost: h\r\n\r\n")
        assert again.value is caught.value
        with pytest.raises(RemoteProtocolError) as again:
            list(connection.events())
        assert again.value is caught.value


def test_pipelined_requests_are_read_in_order_up_to_the_end() -> None:
    connection = ServerConnection()
    serve(connection, GET)
    later = [post(body=b'{"input":"%d"}' % number) for number in range(5000)]
    for place in range(0, len(data := b"".join(later)), 1000):
        connection.receive_data(data[place : place + 1000])
    connection.receive_data(b"")
    connection.send(HEALTH)
    inputs = []
    while (call := next(connection.events(), None)) is not None:
        inputs.append(call.arguments["input"])
        connection.send(GovernanceBlock())
    assert inputs == [str(number) for number in range(5000)]
    assert connection.must_close
    with pytest.raises(LocalProtocolError, match="after the end of the connection"):
        connection.receive_data(b"x")
