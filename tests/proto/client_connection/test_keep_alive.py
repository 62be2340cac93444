"""When a connection can be used again, and what spoils it for the next operation."""

from __future__ import annotations

import pytest
from exchanging import (
    EVENTS,
    HEALTH,
    HEALTH_BODY,
    STREAM,
    asked,
    receive,
    response,
)

from hestiaos_proto import (
    ClientConnection,
    LocalProtocolError,
    RemoteProtocolError,
    RunStream,
    operations,
)


class TestKeepAlive:
    def test_one_operation_after_another(self) -> None:
        connection = ClientConnection()
        for _ in range(3):
            connection.send(operations.health())
            receive(connection, response())
            assert connection.result(operations.health()) == HEALTH
            connection.send(operations.run_stream("x"))
            assert connection.response is None
            assert receive(connection, STREAM) == EVENTS
            assert connection.result(operations.run_stream("x")).final == {}
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
        assert connection.result(operations.health()) == HEALTH
        assert not connection.reusable
        with pytest.raises(LocalProtocolError, match="open a new one"):
            connection.send(operations.health())
        assert connection.result(operations.health()) == HEALTH

    def test_the_server_closes_between_two_operations(self) -> None:
        connection = asked()
        receive(connection, response())
        assert connection.reusable
        receive(connection, b"")
        assert not connection.reusable
        assert connection.result(operations.health()) == HEALTH

    def test_the_server_closes_before_the_first_operation(self) -> None:
        connection = ClientConnection()
        connection.receive_data(b"")
        assert not connection.reusable
        with pytest.raises(LocalProtocolError, match="open a new one"):
            connection.send(operations.health())


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
    def test_after_a_response_it_ends_the_connection_and_not_the_result(self, ahead: bytes, together: bool) -> None:
        for operation, data in ((operations.health(), response()), (operations.run_stream("x"), STREAM)):
            connection = asked(operation)
            receive(connection, *([data + ahead] if together else [data, ahead]))
            assert connection.finished
            assert not connection.reusable
            assert list(connection.events()) == []
            result = connection.result(operation)
            assert (result.final == {}) if isinstance(result, RunStream) else (result == HEALTH)
            with pytest.raises(LocalProtocolError, match="open a new one") as refused:
                connection.send(operations.health())
            assert isinstance(refused.value.__cause__, RemoteProtocolError)


def test_what_comes_after_a_response_without_a_body_spoils_the_connection_only(cuts) -> None:
    for pieces in cuts(b"HTTP/1.1 204 No Content\r\n\r\nmore"):
        connection = asked(operations.delete_secret("k"))
        for piece in pieces:
            connection.receive_data(piece)
        assert connection.result(operations.delete_secret("k")) is None
        assert not connection.reusable


def test_the_error_for_bytes_that_belong_to_no_response() -> None:
    early = ClientConnection()
    early.receive_data(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(LocalProtocolError, match="cannot be used again") as caught:
        early.send(operations.health())
    assert str(caught.value.__cause__).endswith("unexpected data on an idle connection")

    late = asked()
    late.receive_data(response() + response())
    with pytest.raises(LocalProtocolError, match="cannot be used again") as caught:
        late.send(operations.health())
    assert str(caught.value.__cause__).endswith("unexpected data on an idle connection")
