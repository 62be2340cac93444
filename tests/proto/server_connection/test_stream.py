"""The event stream that a server's end sends."""

from __future__ import annotations

import pytest
from serving import (
    EVENTS,
    GET,
    STREAM,
    Client,
    post,
    read_stream,
    serve,
)

from hestiaos_proto import (
    Control,
    GovernanceBlock,
    LocalProtocolError,
    NotFound,
    ServerConnection,
    ServerError,
    StatusError,
)


class TestStream:
    def test_events_up_to_done(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        out = b"".join([connection.send(item) for item in [EVENTS[0], Control.HEARTBEAT, *EVENTS[1:]]])
        status, headers, body = Client().read(out)
        assert (status, headers["content-type"], headers["cache-control"]) == (200, "text/event-stream", "no-store")
        assert headers["transfer-encoding"] == "chunked"
        assert b": heartbeat\n\n" in body
        assert read_stream(body) == EVENTS
        assert not connection.must_close
        assert serve(connection, GET).operation == "health"

    def test_to_an_http_1_0_client_the_end_of_the_connection_is_the_end_of_the_stream(self) -> None:
        connection = ServerConnection()
        serve(connection, post("/api/v1/run/stream", version="1.0"))
        out = b"".join(map(connection.send, EVENTS))
        _, headers, body = Client().read(out, end=True)
        assert "transfer-encoding" not in headers
        assert read_stream(body) == EVENTS
        assert connection.must_close

    def test_a_heartbeat_may_come_first(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        out = connection.send(Control.HEARTBEAT) + b"".join(map(connection.send, EVENTS))
        assert read_stream(Client().read(out)[2]) == EVENTS

    @pytest.mark.parametrize(
        ("sent", "types"),
        [
            ([Control.HEARTBEAT], ["start", "error", "done"]),
            (EVENTS[:1], ["start", "error", "done"]),
            (EVENTS[:2], ["start", "token", "error", "done"]),
            (EVENTS[:3], ["start", "token", "final", "done"]),
        ],
        ids=["after a heartbeat", "start", "token", "final"],
    )
    @pytest.mark.parametrize("error", [GovernanceBlock("t"), ValueError("hunter2")], ids=repr)
    def test_an_exception_in_the_middle_ends_it_in_the_frozen_order(
        self, sent, types: list[str], error: Exception
    ) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        out = b"".join(map(connection.send, [*sent, error]))
        _, _, body = Client().read(out)
        assert [event.type for event in read_stream(body)] == types
        assert b"hunter2" not in body
        assert serve(connection, GET).operation == "health"

    def test_an_exception_before_the_stream_is_a_status(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        assert Client().read(connection.send(GovernanceBlock("t")))[0] == 403

    def test_the_next_stream_knows_nothing_of_the_last(self) -> None:
        connection = ServerConnection()
        for _ in range(2):
            serve(connection, STREAM)
            out = connection.send(EVENTS[0]) + connection.send(StatusError("x"))
            assert [event.type for event in read_stream(Client().read(out)[2])] == ["start", "error", "done"]


def test_a_stream_that_has_begun_ends_with_its_error() -> None:
    connection = ServerConnection()
    serve(connection, STREAM)
    out = connection.send(EVENTS[0]) + connection.send(NotFound("gone", "t-1"))
    failed = read_stream(Client().read(out)[2])[-2]
    assert (failed.type, failed.data["code"], failed.data["message"]) == ("error", "NOT_FOUND", "gone")


def test_there_is_nothing_to_continue_in_a_stream_that_has_begun() -> None:
    connection = ServerConnection()
    serve(connection, STREAM)
    connection.send(EVENTS[0])
    with pytest.raises(LocalProtocolError, match="no client waits for 100 Continue"):
        connection.send(Control.CONTINUE)


def test_an_exception_that_cannot_be_encoded_sends_nothing() -> None:
    connection = ServerConnection()
    serve(connection, STREAM)
    head = connection.send(Control.HEARTBEAT)
    with pytest.raises(ValueError, match="surrogate"):
        connection.send(ServerError("bad \ud800"))
    client = Client("POST")
    _, _, body = client.read(head + connection.send(ServerError("bad")))
    assert [event.type for event in read_stream(body)] == ["start", "error", "done"]
