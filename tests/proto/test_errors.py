"""The exception tree: who is whose base, what each holds, and that each survives pickle and copy."""

from __future__ import annotations

import copy
import pickle

import pytest

import hestiaos_proto as proto
from hestiaos_proto import _errors as errors

TREE = {
    "StatusError": ("HestiaError",),
    "GovernanceBlock": ("StatusError",),
    "InvalidInput": ("StatusError",),
    "NotFound": ("StatusError",),
    "AuthenticationFailed": ("StatusError",),
    "RateLimited": ("StatusError",),
    "ServerError": ("StatusError",),
    "TransportError": ("HestiaError",),
    "ConnectFailed": ("TransportError", "ConnectionError"),
    "ConnectionLost": ("TransportError", "ConnectionError"),
    "TimedOut": ("TransportError", "TimeoutError"),
    "ProtocolError": ("HestiaError",),
    "RemoteProtocolError": ("ProtocolError",),
    "StreamInterrupted": ("RemoteProtocolError",),
    "LocalProtocolError": ("ProtocolError",),
}

EXAMPLES = [
    errors.HestiaError("CODE", "message", "t-1"),
    errors.StatusError("m", "t", {"a": [1]}, status_code=418, code="TEA", retry_after=2.5, body=b"\xff{}"),
    errors.GovernanceBlock("t-1", message="no", details=["x"], body=b"b"),
    errors.InvalidInput("m", "t", [{"loc": ["body"]}]),
    errors.NotFound("m", "t"),
    errors.AuthenticationFailed("m", code="EXPIRED"),
    errors.RateLimited("m", retry_after=1.0),
    errors.ServerError("m", status_code=503),
    errors.TransportError("m", request_sent=False),
    errors.ConnectFailed("refused"),
    errors.ConnectionLost("reset"),
    errors.TimedOut("slow", request_sent=False),
    errors.ProtocolError("m"),
    errors.RemoteProtocolError("m"),
    errors.StreamInterrupted("cut", events_received=2, last_event=proto.StreamEvent("token", {"text": "a"}, "t")),
    errors.LocalProtocolError("m"),
]


@pytest.mark.parametrize("name", TREE)
def test_the_tree(name: str) -> None:
    assert tuple(base.__name__ for base in getattr(errors, name).__bases__) == TREE[name]


def test_the_tree_is_complete_and_public() -> None:
    assert set(errors.__all__) == {*TREE, "HestiaError"}
    assert set(errors.__all__) <= set(proto.__all__)
    assert {type(example).__name__ for example in EXAMPLES} == set(errors.__all__)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "duplicate",
    [*(lambda error, p=p: pickle.loads(pickle.dumps(error, p)) for p in range(6)), copy.copy, copy.deepcopy],
    ids=[*(f"pickle {protocol}" for protocol in range(6)), "copy", "deepcopy"],
)
def test_a_duplicate_is_the_same_in_all_that_it_holds(example, duplicate) -> None:
    twin = duplicate(example)
    assert type(twin) is type(example)
    assert vars(twin) == vars(example)
    assert (str(twin), repr(twin), twin.args) == (str(example), repr(example), example.args)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda error: type(error).__name__)
def test_a_duplicate_has_its_response_too(example: errors.HestiaError) -> None:
    assert example.response is None
    first = copy.copy(example)
    first.response = proto.ResponseInfo(503, {"x-request-id": "r-1"})
    for twin in (pickle.loads(pickle.dumps(first)), copy.copy(first), copy.deepcopy(first)):
        assert twin.response == first.response
        assert twin.response.request_id == "r-1"
        assert vars(twin) == vars(first)
    assert example.response is None


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda error: type(error).__name__)
def test_str_is_the_code_in_brackets_and_the_message(example: errors.HestiaError) -> None:
    assert str(example).startswith(f"[{example.code}] {example.message}")
    told_more = (errors.GovernanceBlock, errors.StatusError)
    assert isinstance(example, told_more) or str(example) == f"[{example.code}] {example.message}"


def test_the_documented_constructor_of_governance_block() -> None:
    error = errors.GovernanceBlock("t-1")
    assert (error.trace_id, error.code, error.status_code) == ("t-1", "GOVERNANCE_BLOCK", 403)
    assert str(error) == "[GOVERNANCE_BLOCK] Request blocked by governance: trace t-1"
    assert errors.GovernanceBlock().trace_id is None
    assert str(errors.GovernanceBlock()) == "[GOVERNANCE_BLOCK] Request blocked by governance"


def test_too_many_requests_says_how_long_to_wait() -> None:
    assert str(errors.RateLimited(retry_after=1.5)) == (
        "[RATE_LIMITED] Too many requests (the server asks to wait 1.5 s)"
    )


def test_a_block_says_which_rule_it_was_and_why() -> None:
    details = {"rule": "no-wiping", "reason": "destroys files", "risk_score": 0.95, "policy": "team"}
    error = errors.GovernanceBlock("t-1", details=details)
    assert str(error) == (
        "[GOVERNANCE_BLOCK] Request blocked by governance: rule no-wiping, reason destroys files, risk 0.95, trace t-1"
    )
    assert str(errors.GovernanceBlock(details=["of", "another", "server"])).endswith("blocked by governance")
    waiting = errors.GovernanceBlock("t-1", details={"rule": "r", "approval": {"id": "a-1", "status": "pending"}})
    assert str(waiting).endswith("blocked by governance: rule r, trace t-1, approval a-1 (pending)")
    for odd in (None, "a-1", {"id": 1}, {}):
        assert str(errors.GovernanceBlock("t-1", details={"approval": odd})).endswith("governance: trace t-1")


def test_the_documented_constructor_of_invalid_input() -> None:
    error = errors.InvalidInput("bad", "t-1", {"field": "input"})
    assert (error.message, error.trace_id, error.details) == ("bad", "t-1", {"field": "input"})
    assert (error.code, error.status_code) == ("INVALID_INPUT", 422)


def test_the_documented_constructor_of_not_found() -> None:
    error = errors.NotFound("gone", "t-1")
    assert (error.message, error.trace_id, error.code, error.status_code) == ("gone", "t-1", "NOT_FOUND", 404)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.AuthenticationFailed(), "AUTHENTICATION_FAILED"),
        (errors.RateLimited(), "RATE_LIMITED"),
        (errors.ServerError(), "HTTP_500"),
        (errors.ServerError(status_code=503), "HTTP_503"),
        (errors.StatusError(status_code=418), "HTTP_418"),
        (errors.ConnectFailed("x"), "CONNECT_FAILED"),
        (errors.ConnectionLost("x"), "CONNECTION_LOST"),
        (errors.TimedOut("x"), "TIMED_OUT"),
        (errors.RemoteProtocolError("x"), "REMOTE_PROTOCOL_ERROR"),
        (errors.StreamInterrupted("x"), "STREAM_INTERRUPTED"),
        (errors.LocalProtocolError("x"), "LOCAL_PROTOCOL_ERROR"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_has_its_code(error: errors.HestiaError, code: str) -> None:
    assert error.code == code


def test_request_sent_is_false_only_where_nothing_reached_the_server() -> None:
    assert not errors.ConnectFailed("x").request_sent
    assert errors.ConnectionLost("x").request_sent
    assert errors.TimedOut("x").request_sent
    assert not errors.TimedOut("x", request_sent=False).request_sent


def test_repr_names_code_and_trace_and_neither_body_nor_details() -> None:
    error = errors.InvalidInput("bad", "t-1", {"key": "hidden"}, body=b"hidden")
    assert repr(error) == "InvalidInput('bad', code='INVALID_INPUT', trace_id='t-1')"


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (errors.StatusError(), 400, "HTTP_400", "The server refused the request"),
        (errors.GovernanceBlock(), 403, "GOVERNANCE_BLOCK", "Request blocked by governance"),
        (errors.InvalidInput(), 422, "INVALID_INPUT", "Invalid input"),
        (errors.NotFound(), 404, "NOT_FOUND", "Resource not found"),
        (errors.AuthenticationFailed(), 401, "AUTHENTICATION_FAILED", "The API key is missing or wrong"),
        (errors.RateLimited(), 429, "RATE_LIMITED", "Too many requests"),
        (errors.ServerError(), 500, "HTTP_500", "The server failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, errors.HestiaError) else "",
)
def test_what_is_not_given(error: errors.StatusError, status: int, code: str, message: str) -> None:
    assert (error.status_code, error.code, error.message) == (status, code, message)
    assert (error.trace_id, error.details, error.retry_after, error.body) == (None, None, None, b"")
    assert error.args == (f"[{code}] {message}",)
    assert repr(error) == f"{type(error).__name__}({message!r}, code={code!r})"


def test_what_is_given_wins_the_empty_message_too() -> None:
    error = errors.RateLimited("", "t", [1], status_code=420, code="CALM", retry_after=0.0, body=b"b")
    assert (error.status_code, error.code, error.message, error.trace_id) == (420, "CALM", "", "t")
    assert (error.details, error.retry_after, error.body) == ([1], 0.0, b"b")
    assert errors.RateLimited(code="").code == "RATE_LIMITED"


def test_the_codes_of_the_inner_classes() -> None:
    assert errors.TransportError("x").code == "TRANSPORT_ERROR"
    assert errors.TransportError("x").request_sent
    assert errors.ProtocolError("x").code == "PROTOCOL_ERROR"
    assert repr(errors.HestiaError("C", "m")) == "HestiaError('m', code='C')"


def test_what_is_not_known_of_an_interrupted_stream_and_a_lost_connection() -> None:
    cut = errors.StreamInterrupted("x")
    assert (cut.events_received, cut.last_event, cut.message) == (0, None, "x")
    assert errors.ConnectionLost("x").stale is False


def test_what_is_given_is_held() -> None:
    block = errors.GovernanceBlock("t-1", message="no", details=["x"], retry_after=1.0, body=b"b")
    assert (block.message, block.details, block.retry_after, block.body) == ("no", ["x"], 1.0, b"b")
    for kind in (errors.TransportError, errors.ConnectFailed, errors.TimedOut, errors.RemoteProtocolError):
        assert kind("told").message == "told"
    last = proto.StreamEvent("token")
    cut = errors.StreamInterrupted("x", events_received=2, last_event=last)
    assert (cut.events_received, cut.last_event) == (2, last)


def test_the_details_of_a_governance_block_have_its_trace_id() -> None:
    said = {"rule": "r", "reason": "because", "risk_score": 0.9}
    block = errors.GovernanceBlock("t-1", details=said)
    assert block.details == said | {"trace_id": "t-1"}
    assert str(block) == "[GOVERNANCE_BLOCK] Request blocked by governance: rule r, reason because, risk 0.9, trace t-1"
    assert said == {"rule": "r", "reason": "because", "risk_score": 0.9}
    assert errors.GovernanceBlock(None, details=said).details == said
    assert errors.GovernanceBlock("t-1", details={"a": 1}).details == {"a": 1}
