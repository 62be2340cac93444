"""The server's side of an exchange: calls with their key and refusal, answers with their headers."""

from __future__ import annotations

import json

import pytest

from hestiaos_proto import (
    AuthenticationFailed,
    GovernanceBlock,
    HealthResponse,
    LocalProtocolError,
    NotFound,
    RateLimited,
    RemoteProtocolError,
    RunStream,
    ServerError,
    ServerRequest,
    StatusError,
    StreamEvent,
    TimedOut,
    __version__,
    encode_response,
    encode_stream_event,
    parse_request,
)
from hestiaos_proto._server_messages import STREAM_HEADERS, EncodedResponse, as_status_error, error_events


class TestCall:
    def test_a_request_that_is_recognised(self) -> None:
        call = parse_request("POST", "/api/chat", {"x-a": "1"}, b'{"message":"hi"}')
        assert call == ServerRequest("chat", {"message": "hi", "session_id": None}, {"x-a": "1"})
        assert call.refusal is None

    @pytest.mark.parametrize(
        ("method", "target", "body", "status"),
        [("GET", "/x", b"", 404), ("PUT", "/api/chat", b"", 405), ("POST", "/api/chat", b"{}", 422)],
    )
    def test_one_that_is_not_carries_its_refusal(self, method: str, target: str, body: bytes, status: int) -> None:
        call = parse_request(method, target, {"x-a": "1"}, body)
        assert (call.operation, call.arguments, call.headers) == ("", {}, {"x-a": "1"})
        assert call.refusal is not None
        assert call.refusal.status_code == status

    @pytest.mark.parametrize(
        ("value", "key"),
        [
            ("Bearer k", "k"),
            ("bearer k", "k"),
            ("BEARER   k ", "k"),
            ("Basic k", None),
            ("k", None),
            ("Bearerk", None),
            ("", None),
        ],
    )
    def test_the_key_is_a_bearer_token(self, value: str, key: str | None) -> None:
        assert ServerRequest("health", {}, {"authorization": value}).key == key
        assert ServerRequest("health", {}, {}).key is None

    def test_the_idempotency_key(self) -> None:
        assert ServerRequest("run", {}, {"idempotency-key": "i"}).idempotency_key == "i"
        assert ServerRequest("run", {}, {}).idempotency_key is None

    def test_its_repr_shows_neither_arguments_nor_headers(self) -> None:
        call = parse_request(
            "POST", "/api/secrets", {"authorization": "Bearer hunter2"}, b'{"credential_ref":"k","secret":"hunter2"}'
        )
        assert call.arguments["value"] == call.key == "hunter2"
        assert repr(call) == "ServerRequest(operation='set_secret', refusal=None)"


class TestAnswer:
    def test_a_result(self) -> None:
        reply = encode_response("health", HealthResponse("ok", "1", 2.5))
        assert reply.status == 200
        assert json.loads(reply.body) == {"status": "ok", "version": "1", "uptime_seconds": 2.5, "api_version": None}
        assert dict(reply.headers) == {
            "Server": f"hestiaos/{__version__}",
            "Content-Type": "application/json",
            "Content-Length": str(len(reply.body)),
        }

    @pytest.mark.parametrize("operation", ["set_secret", "delete_secret"])
    def test_an_operation_without_result_is_an_empty_object(self, operation: str) -> None:
        assert encode_response(operation, None).body == b"{}"

    def test_no_governance_trace_is_a_404(self) -> None:
        assert encode_response("governance_trace", None).status == 404

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (GovernanceBlock("t"), 403, "GOVERNANCE_BLOCK"),
            (NotFound("x"), 404, "NOT_FOUND"),
            (ServerError(status_code=503), 503, "HTTP_503"),
            (StatusError("tea", status_code=418), 418, "HTTP_418"),
            (RemoteProtocolError("no HTTP"), 400, "BAD_REQUEST"),
        ],
        ids=repr,
    )
    def test_an_exception_is_answered_with_its_status(self, error: Exception, status: int, code: str) -> None:
        reply = encode_response("run", error)
        assert (reply.status, json.loads(reply.body)["code"]) == (status, code)

    @pytest.mark.parametrize(
        "error", [ValueError("hunter2"), KeyError("hunter2"), TimedOut("hunter2"), SystemExit("hunter2")]
    )
    def test_any_other_exception_is_a_500_that_tells_nothing_of_it(self, error: BaseException) -> None:
        reply = encode_response("run", error)
        assert reply.status == 500
        assert b"hunter2" not in reply.body
        assert json.loads(reply.body)["message"] == "the server failed"

    def test_401_says_how_to_authenticate(self) -> None:
        """RFC 9110, section 11.6.1."""
        assert ("WWW-Authenticate", "Bearer") in encode_response("run", AuthenticationFailed()).headers

    @pytest.mark.parametrize(
        ("details", "allow"),
        [({"allowed": ["DELETE", "GET"]}, "DELETE, GET"), (None, ""), ([], ""), ({}, "")],
        ids=repr,
    )
    def test_405_says_what_is_allowed(self, details: object, allow: str) -> None:
        """RFC 9110, section 15.5.6: the field must be there, and may be empty."""
        assert ("Allow", allow) in encode_response("run", StatusError("x", None, details, status_code=405)).headers

    @pytest.mark.parametrize(("seconds", "value"), [(0.0, "0"), (0.2, "1"), (7.0, "7"), (59.5, "60")])
    def test_retry_after_is_in_whole_seconds_and_never_too_short(self, seconds: float, value: str) -> None:
        """RFC 9110, section 10.2.3."""
        assert ("Retry-After", value) in encode_response("run", RateLimited(retry_after=seconds)).headers
        assert "Retry-After" not in dict(encode_response("run", RateLimited()).headers)

    def test_a_request_that_broke_the_protocol_has_the_status_that_says_how(self) -> None:
        assert as_status_error(RemoteProtocolError("too long"), status=431).status_code == 431


class TestStreamEvents:
    @pytest.mark.parametrize("text", ["a", "é😀\u2028\u0085\0", "line\r\nline", "data: {}"], ids=ascii)
    def test_what_the_server_writes_the_client_reads(self, text: str) -> None:
        events = [
            StreamEvent("start", {}, "t", "2025"),
            StreamEvent("token", {"text": text}, "t", "2025"),
            StreamEvent("final", {"result": text}, "t", "2025"),
            StreamEvent("done", {}, "t", "2025"),
        ]
        stream = RunStream()
        stream.receive_data(b"".join(map(encode_stream_event, events)))
        stream.receive_data(b"")
        assert list(stream.events()) == events
        assert stream.text == text

    @pytest.mark.parametrize(
        "sent",
        [[], ["start"], ["start", "token"], ["start", "final"], ["start", "error"]],
        ids=lambda types: " ".join(types) or "heartbeats only",
    )
    def test_a_stream_that_fails_ends_in_the_frozen_order(self, sent: list[str]) -> None:
        events = [StreamEvent(kind, {}, "t", "2025") for kind in sent]
        events += error_events(NotFound("gone"), events[-1] if events else None)
        stream = RunStream(strict=True)
        stream.receive_data(b"".join(map(encode_stream_event, events)))
        stream.receive_data(b"")
        read = list(stream.events())
        assert read[-1].type == "done"
        assert len({event.trace_id for event in read}) == 1
        if "final" not in sent:
            assert read[-2].type == "error"

    def test_the_error_event_tells_what_an_error_body_tells(self) -> None:
        error, done = error_events(GovernanceBlock("t"), StreamEvent("start", {}, "t", "2025"))
        assert error.data["code"] == "GOVERNANCE_BLOCK"
        assert (error.trace_id, error.timestamp, done.trace_id, done.timestamp) == ("t", "2025", "t", "2025")
        hidden, _ = error_events(ValueError("hunter2"), StreamEvent("start"))
        assert "hunter2" not in repr(hidden)


SERVER = ("Server", f"hestiaos/{__version__}")


class TestHeaders:
    """To the letter: a proxy in front may be particular about them."""

    def test_of_a_stream(self) -> None:
        assert (
            SERVER,
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-store"),
            ("X-Accel-Buffering", "no"),
        ) == STREAM_HEADERS

    def test_of_a_result(self) -> None:
        reply = encode_response("set_secret", None)
        assert reply.headers == (SERVER, ("Content-Type", "application/json"), ("Content-Length", "2"))
        assert reply.body == b"{}"

    def test_of_a_refusal(self) -> None:
        reply = encode_response("run", AuthenticationFailed(retry_after=1.5))
        assert reply.headers == (
            SERVER,
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(reply.body))),
            ("WWW-Authenticate", "Bearer"),
            ("Retry-After", "2"),
        )

    def test_an_infinite_wait_is_left_out(self) -> None:
        assert "Retry-After" not in dict(encode_response("run", RateLimited(retry_after=float("inf"))).headers)

    def test_a_repr_shows_no_body(self) -> None:
        assert (
            repr(EncodedResponse(200, (SERVER,), b"hunter2")) == f"EncodedResponse(status=200, headers=({SERVER!r},))"
        )


class TestAsStatusError:
    @pytest.mark.parametrize("status", [400, 401, 599])
    def test_a_failure_is_itself(self, status: int) -> None:
        error = StatusError("x", status_code=status)
        assert as_status_error(error) is error

    def test_a_success_is_not_a_failure(self) -> None:
        error = as_status_error(StatusError("x", "t-1", status_code=399))
        assert (type(error), error.message, error.code, error.trace_id) == (
            ServerError,
            "the server failed",
            "INTERNAL_ERROR",
            "t-1",
        )

    def test_any_other_exception_has_no_trace(self) -> None:
        error = as_status_error(ValueError("hunter2"))
        assert (error.status_code, error.code, error.message) == (500, "INTERNAL_ERROR", "the server failed")
        assert error.trace_id is None

    def test_the_error_of_a_request_that_broke_the_protocol(self) -> None:
        error = as_status_error(RemoteProtocolError("too long"))
        assert (error.status_code, error.code, error.message) == (400, "BAD_REQUEST", "too long")


def test_a_stream_that_fails_before_its_first_event() -> None:
    start, failed, done = error_events(NotFound("gone"), None)
    assert start == StreamEvent("start")
    assert (failed.type, failed.trace_id, failed.timestamp, failed.data["message"]) == ("error", "", "", "gone")
    assert done == StreamEvent("done")


@pytest.mark.parametrize(("value", "key"), [("k", "k"), ("", None)])
def test_an_empty_idempotency_key_is_none(value: str, key: str | None) -> None:
    assert ServerRequest("run", {}, {"idempotency-key": value}).idempotency_key == key


@pytest.mark.parametrize(
    ("operation", "result", "message"),
    [
        ("run", {"a": 1}, "run is answered with a RunResponse, not with a dict"),
        ("get_secret", None, "get_secret is answered with a str, not with a NoneType"),
    ],
)
def test_the_result_of_another_operation_is_refused(operation: str, result: object, message: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        encode_response(operation, result)
    assert caught.value.message == message


@pytest.mark.parametrize(("status", "expected"), [(399, 500), (400, 400), (599, 599), (600, 500)])
def test_which_statuses_are_those_of_errors(status: int, expected: int) -> None:
    assert as_status_error(StatusError("x", status_code=status)).status_code == expected
