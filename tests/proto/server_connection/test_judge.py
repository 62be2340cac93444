"""A request is judged by its head, and one that is refused needs no body."""

from __future__ import annotations

import pytest
from serving import GET, HEALTH, STREAM, Client, chunked, post, serve

from hestiaos_proto import (
    AuthenticationFailed,
    Control,
    EncodedResponse,
    LocalProtocolError,
    NotFound,
    ServerConnection,
    ServerRequest,
    StatusError,
)

NO_CONTENT = EncodedResponse(204, (("Allow", "GET"),), b"")


class Judge:
    def __init__(self, verdict: StatusError | EncodedResponse | None) -> None:
        self.verdict = verdict
        self.seen: list[ServerRequest] = []

    def __call__(self, call: ServerRequest) -> StatusError | EncodedResponse | None:
        self.seen.append(call)
        return self.verdict


def head_of(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def test_the_request_that_a_judge_gets() -> None:
    judge = Judge(None)
    connection = ServerConnection(judge=judge)
    connection.receive_data(b"DELETE http://h/api/secrets/a%2Fb?x HTTP/1.1\r\nHost: o\r\nContent-Length: 2\r\n\r\n")
    assert list(connection.events()) == []
    (seen,) = judge.seen
    assert (seen.operation, seen.arguments, seen.method, seen.target) == (
        "delete_secret",
        {"key": "a/b"},
        "DELETE",
        "/api/secrets/a%2Fb?x",
    )
    assert (seen.headers["host"], seen.refusal) == ("h", None)
    call = serve(connection, b"xx")
    assert (call.operation, call.arguments, call.method) == ("delete_secret", {"key": "a/b"}, "DELETE")
    assert len(judge.seen) == 1


@pytest.mark.parametrize(("line", "status"), [(b"GET /nowhere", 404), (b"PUT /api/chat", 405), (b"OPTIONS *", 404)])
def test_a_judge_comes_before_the_path(line: bytes, status: int) -> None:
    judge = Judge(AuthenticationFailed())
    call = serve(ServerConnection(judge=judge), line + b" HTTP/1.1\r\nHost: h\r\n\r\n")
    assert judge.seen[0].refusal.status_code == status
    assert call.refusal is judge.verdict


@pytest.mark.parametrize(
    "request_bytes",
    [post(), chunked("/api/v1/run", b"x"), post("/api/v1/run", b"{}", "Expect: 100-continue")],
    ids=["length", "chunks", "expecting"],
)
def test_a_refusal_waits_for_no_body(request_bytes: bytes) -> None:
    connection = ServerConnection(judge=Judge(AuthenticationFailed()))
    call = serve(connection, head_of(request_bytes))
    assert not connection.expects_continue
    assert Client("POST").read(connection.send(call.refusal))[0] == 401


def test_a_short_body_of_a_refused_request_is_dropped_and_the_connection_kept() -> None:
    data = post("/api/v1/run", b"x" * 1000)
    for size in (len(data), 1, 700):
        connection = ServerConnection(judge=lambda call: None if call.operation == "health" else NotFound())
        operations = []
        for start in range(0, len(data + GET), size):
            connection.receive_data((data + GET)[start : start + size])
            for call in connection.events():
                operations.append(call.operation)
                assert "connection" not in Client("POST").read(connection.send(call.refusal or HEALTH))[1]
        assert operations == ["", "health"]
        assert not connection.must_close


def test_a_client_that_ends_inside_the_body_of_a_refused_request_is_left() -> None:
    connection = ServerConnection(judge=Judge(AuthenticationFailed()))
    call = serve(connection, post()[:-1])
    connection.send(call.refusal)
    connection.receive_data(b"")
    assert list(connection.events()) == []
    assert connection.must_close


@pytest.mark.parametrize(
    "request_bytes",
    [
        post("/api/v1/run", b"x" * 70_000),
        chunked("/api/v1/run", b"x"),
        post("/api/v1/run", b"{}", "Expect: 100-continue"),
        post(version="1.0"),
        post("/api/v1/run", b"{}", "Connection: close"),
    ],
    ids=["long", "chunks", "expecting", "HTTP/1.0", "the last"],
)
def test_any_other_body_ends_the_connection_and_is_not_kept(request_bytes: bytes) -> None:
    connection = ServerConnection(judge=Judge(AuthenticationFailed()))
    call = serve(connection, head_of(request_bytes))
    connection.receive_data(b"x" * 65_536)
    assert len(connection._reader.buffer) == 0
    status, headers, _ = Client("POST").read(connection.send(call.refusal), end=True)
    assert (status, headers["connection"]) == (401, "close")
    assert connection.must_close
    connection.receive_data(GET)
    assert list(connection.events()) == []


def test_a_judge_may_answer_itself() -> None:
    connection = ServerConnection(judge=lambda call: NO_CONTENT if call.method == "OPTIONS" else None)
    call = serve(connection, b"OPTIONS /api/chat HTTP/1.1\r\nHost: h\r\n\r\n")
    assert (call.operation, call.response) == ("", NO_CONTENT)
    with pytest.raises(LocalProtocolError, match="the request cannot be carried out"):
        connection.send(HEALTH)
    status, headers, body = Client("OPTIONS").read(connection.send(call.response, (("Vary", "Origin"),)))
    assert (status, headers["allow"], headers["vary"], body) == (204, "GET", "Origin", b"")
    assert serve(connection, GET).operation == "health"


def test_a_judged_request_can_still_fail() -> None:
    connection = ServerConnection(judge=lambda call: NO_CONTENT)
    serve(connection, GET)
    assert Client().read(connection.send(ValueError()))[0] == 500


def test_any_result_can_be_an_encoded_response() -> None:
    connection = ServerConnection()
    serve(connection, GET)
    assert Client().read(connection.send(EncodedResponse(200, (("Content-Length", "2"),), b"ok")))[2] == b"ok"
    serve(connection, STREAM)
    assert Client("POST").read(connection.send(NO_CONTENT))[0] == 204


def test_a_stream_that_has_begun_goes_on_in_its_kind() -> None:
    connection = ServerConnection()
    serve(connection, STREAM)
    connection.send(Control.HEARTBEAT)
    with pytest.raises(LocalProtocolError, match="run_stream has StreamEvents"):
        connection.send(NO_CONTENT)


class TestShutDown:
    def test_the_answer_that_is_due_is_the_last(self) -> None:
        connection = ServerConnection()
        serve(connection, GET + GET)
        connection.shut_down()
        assert not connection.must_close
        assert Client().read(connection.send(HEALTH), end=True)[1]["connection"] == "close"
        assert connection.must_close
        assert list(connection.events()) == []

    def test_a_stream_goes_on_to_its_end(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        out = connection.send(Control.HEARTBEAT)
        connection.shut_down()
        out += connection.send(NotFound())
        assert Client("POST").read(out)[0] == 200
        assert connection.must_close
