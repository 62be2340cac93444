"""When a connection can be used again, and `Expect: 100-continue`."""

from __future__ import annotations

import pytest
from serving import (
    EVENTS,
    GET,
    HEALTH,
    STREAM,
    Client,
    post,
    serve,
)

from hestiaos_proto import (
    ConnectionState,
    Control,
    LocalProtocolError,
    NotFound,
    RemoteProtocolError,
    ServerConnection,
)


class TestKeepAlive:
    def test_one_call_after_another(self) -> None:
        connection = ServerConnection()
        for _ in range(3):
            assert serve(connection, GET).operation == "health"
            assert Client().read(connection.send(HEALTH))[0] == 200
            assert not connection.must_close

    def test_a_pipelined_call_comes_only_after_the_answer_to_the_first(self) -> None:
        connection = ServerConnection()
        connection.receive_data(GET + post() + GET)
        assert [call.operation for call in connection.events()] == ["health"]
        assert list(connection.events()) == []
        connection.send(HEALTH)
        assert [call.operation for call in connection.events()] == ["run"]
        connection.send(NotFound())
        assert [call.operation for call in connection.events()] == ["health"]

    def test_answered_inside_the_loop_all_pipelined_calls_come(self) -> None:
        connection, operations = ServerConnection(), []
        connection.receive_data(GET + post() + STREAM + GET)
        for call in connection.events():
            operations.append(call.operation)
            for item in EVENTS if call.operation == "run_stream" else [NotFound()]:
                connection.send(item)
        assert operations == ["health", "run", "run_stream", "health"]

    @pytest.mark.parametrize(
        "data",
        [GET[:-2] + b"Connection: close\r\n\r\n", b"GET /api/v1/health HTTP/1.0\r\n\r\n"],
        ids=["Connection: close", "HTTP/1.0"],
    )
    def test_the_last_call_of_a_connection(self, data: bytes) -> None:
        connection = ServerConnection()
        connection.receive_data(data + GET)
        assert len(list(connection.events())) == 1
        assert not connection.must_close
        client = Client()
        assert client.read(connection.send(HEALTH), end=True)[0] == 200
        assert connection.must_close
        assert list(connection.events()) == []

    def test_the_client_closes(self) -> None:
        connection = ServerConnection()
        connection.receive_data(b"")
        assert list(connection.events()) == []
        assert list(connection.events()) == []
        with pytest.raises(LocalProtocolError, match="after the end of the connection"):
            connection.receive_data(GET)

    def test_a_client_that_closes_its_half_gets_its_answer(self) -> None:
        connection = ServerConnection()
        connection.receive_data(GET)
        connection.receive_data(b"")
        assert [call.operation for call in connection.events()] == ["health"]
        assert Client().read(connection.send(HEALTH))[0] == 200

    def test_a_request_that_ends_inside_its_body(self) -> None:
        connection = ServerConnection()
        connection.receive_data(post()[:-1])
        assert list(connection.events()) == []
        connection.receive_data(b"")
        with pytest.raises(RemoteProtocolError, match=r"this is not an HTTP/1\.1 request"):
            list(connection.events())


class TestContinue:
    HEAD, BODY = post("/api/chat", b'{"message":"x"}', "Expect: 100-continue").split(b"\r\n\r\n")

    def test_a_client_that_waits_with_its_body(self) -> None:
        connection = ServerConnection()
        assert not connection.expects_continue
        connection.receive_data(self.HEAD + b"\r\n\r\n")
        assert list(connection.events()) == []
        assert connection.expects_continue
        assert connection.send(Control.CONTINUE).startswith(b"HTTP/1.1 100 ")
        assert not connection.expects_continue
        assert serve(connection, self.BODY).operation == "chat"

    def test_a_client_whose_body_is_refused_is_not_asked_for_it(self) -> None:
        connection = ServerConnection(max_body_size=5)
        call = serve(connection, self.HEAD + b"\r\n\r\n")
        assert not connection.expects_continue
        assert Client().read(connection.send(call.refusal), end=True)[0] == 413
        assert connection.must_close

    def test_a_client_that_sends_its_body_without_waiting(self) -> None:
        connection = ServerConnection()
        assert serve(connection, self.HEAD + b"\r\n\r\n" + self.BODY).operation == "chat"
        assert not connection.expects_continue

    def test_continue_that_is_sent_out_of_turn(self) -> None:
        with pytest.raises(LocalProtocolError, match="no client waits"):
            ServerConnection().send(Control.CONTINUE)


def test_the_states_of_a_connection() -> None:
    """The table as a whole is tried by `tests/properties/test_every_server_input.py`."""
    connection, data = ServerConnection(), post()
    seen = [repr(connection)]
    for piece in data[:-1], data[-1:]:
        connection.receive_data(piece)
        list(connection.events())
        seen.append(repr(connection))
    connection.send(NotFound())
    connection.receive_data(b"")
    seen.append(repr(connection))
    list(connection.events())
    assert seen == [f"ServerConnection({name})" for name in ("IDLE", "BODY", "WAITING", "DONE")]
    assert connection.state is ConnectionState.CLOSED
