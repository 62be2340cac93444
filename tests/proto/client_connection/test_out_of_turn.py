"""What is called in the wrong order is refused, and harms nothing."""

from __future__ import annotations

import pytest
from exchanging import (
    HEALTH,
    STREAM,
    asked,
    listening,
    receive,
    response,
)

from hestiaos_proto import (
    ClientConnection,
    LocalProtocolError,
    operations,
)


class TestOutOfTurn:
    @pytest.mark.parametrize("pieces", [[], [response()[:20]], [response()[:-1]]], ids=["at once", "head", "body"])
    def test_two_sends_in_a_row(self, pieces: list[bytes]) -> None:
        connection = asked()
        receive(connection, *pieces)
        with pytest.raises(LocalProtocolError, match="receive its whole response before the next send"):
            connection.send(operations.run("x"))
        receive(connection, response()[sum(map(len, pieces)) :])
        assert connection.result(operations.health()) == HEALTH

    def test_a_send_inside_a_stream(self) -> None:
        connection = listening()
        receive(connection, STREAM[:-5])
        with pytest.raises(LocalProtocolError, match="an operation is in progress"):
            connection.send(operations.health())
        receive(connection, STREAM[-5:])
        connection.send(operations.health())

    def test_the_result_too_early(self) -> None:
        with pytest.raises(LocalProtocolError, match="there is no result yet: send an operation"):
            ClientConnection().result(operations.health())
        connection = asked()
        for piece in (response()[:20], response()[20:-1]):
            receive(connection, piece)
            with pytest.raises(LocalProtocolError, match="receive_data until it is finished"):
                connection.result(operations.health())
        receive(connection, response()[-1:])
        connection.send(operations.health())
        with pytest.raises(LocalProtocolError, match="there is no result yet"):
            connection.result(operations.health())

    def test_the_result_of_another_operation(self) -> None:
        connection = asked()
        receive(connection, response())
        with pytest.raises(LocalProtocolError, match="the operation sent last was another: health"):
            connection.result(operations.system_status())
        assert connection.result(operations.health()) == HEALTH

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
