"""The bytes that a server's end sends for an answer."""

from __future__ import annotations

import json

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
    Control,
    EncodedResponse,
    GovernanceBlock,
    LocalProtocolError,
    NotFound,
    ServerConnection,
    ServerError,
    StatusError,
    StreamEvent,
)


class TestAnswers:
    def test_a_result(self) -> None:
        connection = ServerConnection()
        serve(connection, GET)
        status, headers, body = Client().read(connection.send(HEALTH))
        assert (status, headers["content-type"], json.loads(body)) == (200, "application/json", HEALTH.to_wire())
        assert "date" not in headers

    def test_a_clock_dates_it(self) -> None:
        connection = ServerConnection(clock=lambda: 784111777.0)
        for data, item in ((GET, HEALTH), (STREAM, EVENTS[0])):
            serve(connection, data)
            assert b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" in connection.send(item)

    def test_an_exception(self) -> None:
        connection = ServerConnection()
        serve(connection, post())
        status, _, body = Client().read(connection.send(GovernanceBlock("t-1")))
        assert (status, json.loads(body)["trace_id"]) == (403, "t-1")

    def test_an_unknown_exception_reveals_nothing(self) -> None:
        connection = ServerConnection()
        serve(connection, post())
        status, _, body = Client().read(connection.send(ValueError("hunter2")))
        assert status == 500
        assert b"hunter2" not in body

    def test_a_result_that_cannot_be_written_can_be_followed_by_one_that_can(self) -> None:
        connection = ServerConnection()
        serve(connection, b"GET /api/system/config HTTP/1.1\r\nHost: h\r\n\r\n")
        with pytest.raises(ValueError, match="Out of range"):
            connection.send({"x": float("nan")})
        assert Client().read(connection.send(ServerError()))[0] == 500

    def test_no_governance_trace(self) -> None:
        connection = ServerConnection()
        serve(connection, b"GET /api/governance/trace/c HTTP/1.1\r\nHost: h\r\n\r\n")
        assert Client().read(connection.send(None))[0] == 404

    def test_405_says_what_is_allowed(self) -> None:
        connection = ServerConnection()
        call = serve(connection, b"POST /api/secrets/k HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        assert Client().read(connection.send(call.refusal))[1]["allow"] == "DELETE, GET, HEAD"

    @pytest.mark.parametrize("path", [b"/api/v1/health", b"/health"])
    def test_head_is_answered_as_get_without_the_body(self, path: bytes) -> None:
        connection = ServerConnection()
        call = serve(connection, b"HEAD %b HTTP/1.1\r\nHost: h\r\n\r\n" % path)
        status, headers, body = Client("HEAD").read(connection.send(HEALTH))
        assert (call.operation, status, body) == ("health", 200, b"")
        assert int(headers["content-length"]) == len(json.dumps(HEALTH.to_wire(), separators=(",", ":")))
        assert not connection.must_close
        assert serve(connection, GET).operation == "health"


class TestKindsOfAnswers:
    """A call is answered in its own kind, and what is refused leaves it to be answered."""

    @pytest.mark.parametrize("item", [Control.HEARTBEAT, StreamEvent("start")], ids=["heartbeat", "event"])
    def test_a_stream_is_not_an_answer_to_a_call_for_one_result(self, item: object) -> None:
        connection = ServerConnection()
        serve(connection, post("/api/chat", b'{"message":"hi"}'))
        with pytest.raises(LocalProtocolError, match="chat has one result as its response, not a stream"):
            connection.send(item)
        assert Client("POST").read(connection.send(NotFound("gone")))[0] == 404

    def test_a_result_is_not_an_answer_to_a_call_for_a_stream(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        with pytest.raises(LocalProtocolError, match="run_stream has StreamEvents up to 'done' as its response"):
            connection.send({"result": "x"})
        assert connection.send(StreamEvent("start")).startswith(b"HTTP/1.1 200 ")

    def test_a_call_that_cannot_be_carried_out_has_no_result(self) -> None:
        connection = ServerConnection()
        call = serve(connection, b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        with pytest.raises(LocalProtocolError, match="cannot be carried out: send its refusal"):
            connection.send({})
        assert call.refusal is not None
        assert connection.send(call.refusal).startswith(b"HTTP/1.1 404 ")

    def test_a_refusal_may_be_sent_in_another_form(self) -> None:
        connection = ServerConnection()
        serve(connection, b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        out = connection.send(EncodedResponse(404, (("Content-Length", "2"),), b"no"))
        assert Client().read(out)[::2] == (404, b"no")

    def test_an_exception_after_an_unknown_type_begins_the_stream_before_it_ends_it(self) -> None:
        connection = ServerConnection()
        serve(connection, STREAM)
        out = connection.send(StreamEvent("ping")) + connection.send(NotFound("gone"))  # type: ignore[arg-type]  # not known
        places = [out.index(f'"type":"{kind}"'.encode()) for kind in ("ping", "start", "error", "done")]
        assert places == sorted(places)


def test_the_last_answer_says_that_it_is_as_the_standard_spells_it() -> None:
    connection = ServerConnection(max_body_size=5)
    call = serve(connection, post(body=b'{"a":1}')[:-1])
    assert b"\r\nConnection: close\r\n" in connection.send(call.refusal)


@pytest.mark.parametrize(
    ("data", "result", "message"),
    [
        (post(), {"a": 1}, "run is answered with a RunResponse, not with a dict"),
        (post(), None, "run is answered with a RunResponse, not with a NoneType"),
        (post(), HEALTH, "run is answered with a RunResponse, not with a HealthResponse"),
        (GET, "ok", "health is answered with a HealthResponse, not with a str"),
        (GET.replace(b"v1/health", b"system/config"), HEALTH, "system_config is answered with a dict"),
        (GET.replace(b"v1/health", b"secrets/k"), {"value": "x"}, "get_secret is answered with a str, not with a dict"),
        (GET.replace(b"v1/health", b"governance/trace/c"), "x", "governance_trace is answered with a dict"),
    ],
)
def test_the_result_of_another_operation_is_refused_and_the_call_can_be_answered(
    data: bytes, result: object, message: str
) -> None:
    connection = ServerConnection()
    serve(connection, data)
    with pytest.raises(LocalProtocolError, match=message):
        connection.send(result)
    assert connection.send(NotFound()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("status", [200, 399, 600, 1000])
def test_an_exception_with_a_status_that_is_not_that_of_an_error_is_a_500(status: int) -> None:
    connection = ServerConnection()
    serve(connection, GET)
    assert connection.send(StatusError("x", status_code=status)).startswith(b"HTTP/1.1 500 ")
