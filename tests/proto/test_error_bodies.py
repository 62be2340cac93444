"""An error response and its exception: every status, every form of body, and nothing secret kept."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest

from hestiaos_proto import (
    AuthenticationFailed,
    ErrorResponse,
    GovernanceBlock,
    InvalidInput,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
    error_from_response,
)
from hestiaos_proto._error_bodies import error_to_wire
from hestiaos_proto._redaction import Redactor

# Each status, its exception, and its code where the body names one ("OWN") and where it does not.
STATUSES: list[tuple[int, type[StatusError], str, str]] = [
    (301, StatusError, "OWN", "HTTP_301"),
    (302, StatusError, "OWN", "HTTP_302"),
    (303, StatusError, "OWN", "HTTP_303"),
    (307, StatusError, "OWN", "HTTP_307"),
    (308, StatusError, "OWN", "HTTP_308"),
    (400, StatusError, "OWN", "HTTP_400"),
    (401, AuthenticationFailed, "OWN", "AUTHENTICATION_FAILED"),
    (403, GovernanceBlock, "GOVERNANCE_BLOCK", "GOVERNANCE_BLOCK"),
    (404, NotFound, "NOT_FOUND", "NOT_FOUND"),
    (409, StatusError, "OWN", "HTTP_409"),
    (413, StatusError, "OWN", "HTTP_413"),
    (418, StatusError, "OWN", "HTTP_418"),
    (422, InvalidInput, "INVALID_INPUT", "INVALID_INPUT"),
    (429, RateLimited, "OWN", "RATE_LIMITED"),
    (500, ServerError, "OWN", "HTTP_500"),
    (502, ServerError, "OWN", "HTTP_502"),
    (503, ServerError, "OWN", "HTTP_503"),
    (504, ServerError, "OWN", "HTTP_504"),
    (599, ServerError, "OWN", "HTTP_599"),
]

FIELD_ERRORS = [
    {"loc": ["body", "input"], "msg": "Field required", "type": "missing"},
    {"loc": ["body", "list", 0], "msg": "Not a number", "type": "x"},
    {"msg": "No place"},
    "no object",
]
DOCUMENTED = {"error": "E", "code": "OWN", "message": "m", "trace_id": "t", "details": {"a": 1}}

# Each form of body: what it is, and the code, message, trace id and details that it says; None where it says none.
BODIES: dict[str, tuple[object, bool, str | None, str | None, object]] = {
    "documented": (DOCUMENTED, True, "m", "t", {"a": 1}),
    "documented without details": (
        {"error": "E", "code": "OWN", "message": "m", "trace_id": "t"},
        True,
        "m",
        "t",
        None,
    ),
    "an error and no message": ({"error": "E"}, False, "E", None, None),
    "FastAPI, text": ({"detail": "no such thing"}, False, "no such thing", None, None),
    "FastAPI, field errors": (
        {"detail": FIELD_ERRORS},
        False,
        "body.input: Field required; body.list.0: Not a number; No place",
        None,
        FIELD_ERRORS,
    ),
    "FastAPI, object": ({"detail": {"x": 1}}, False, None, None, {"x": 1}),
    "FastAPI around the documented form": ({"detail": DOCUMENTED}, True, "m", "t", {"a": 1}),
    "a bare trace id": ({"trace_id": "t"}, False, None, "t", None),
    "everything of the wrong type": ({"code": 1, "message": [], "trace_id": {}, "error": 2}, False, None, None, None),
    "OpenAI": ({"error": {"message": "m", "type": "t", "code": "OWN", "trace_id": "t"}}, True, "m", "t", None),
    "nulls": ({"code": None, "message": None, "trace_id": None, "detail": None}, False, None, None, None),
    "empty texts": ({"code": "", "message": "", "trace_id": ""}, False, None, None, None),
    "a list": ([1], False, None, None, None),
    "null": (None, False, None, None, None),
    "a proxy's page": (b"<html>502 Bad Gateway</html>", False, None, None, None),
    "nothing": (b"", False, None, None, None),
    "not UTF-8": (b'{"message":"\xff"}', False, None, None, None),
    "too deep": (b"[" * 100_000, False, None, None, None),
}


@pytest.mark.parametrize(
    ("status", "kind", "own_code", "default_code"), STATUSES, ids=[str(row[0]) for row in STATUSES]
)
@pytest.mark.parametrize(("body", "has_code", "message", "trace_id", "details"), BODIES.values(), ids=BODIES)
def test_every_form_of_body_with_every_status(
    status, kind, own_code, default_code, body, has_code, message, trace_id, details
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = error_from_response(status, raw, retry_after=1.5)
    assert type(error) is kind
    assert error.status_code == status
    assert error.code == (own_code if has_code else default_code)
    assert (error.trace_id, error.details, error.retry_after) == (trace_id, details, 1.5)
    assert error.body == raw[:1024]
    if message is not None:
        assert error.message == message
    elif kind in (StatusError, ServerError):
        assert f"status {status}" in error.message
    else:
        assert error.message == kind.default_message


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_says_that_it_is_not_followed(status: int) -> None:
    assert "a redirect, which is not followed: check the base URL" in error_from_response(status, b"").message


@pytest.mark.parametrize("status", [401, 403, 404, 405, 429, 500, 502, 503])
def test_a_message_that_only_repeats_the_status_names_the_server_instead(status: int) -> None:
    phrase = HTTPStatus(status).phrase
    for body in {"detail": phrase}, {"message": phrase.upper()}, {"error": phrase}:
        error = error_from_response(status, json.dumps(body).encode(), described="http://x answered")
        assert error.message.endswith("http://x answered; is this a HestiaOS server?")
        assert error_from_response(status, json.dumps(body).encode()).message.lower() == phrase.lower()
    ours = json.dumps({"error": phrase, "trace_id": "t"}).encode()
    assert "is this" not in error_from_response(status, ours, described="http://x answered").message
    said = json.dumps({"detail": f"{phrase}!"}).encode()
    assert error_from_response(status, said, described="http://x answered").message == f"{phrase}!"


def test_the_wait_that_a_server_asks_for_is_in_the_text() -> None:
    for status in 429, 503:
        assert str(error_from_response(status, b"", retry_after=7.0)).endswith(" (the server asks to wait 7 s)")
        assert "wait" not in str(error_from_response(status, b""))


class TestBodyKept:
    @pytest.mark.parametrize("size", [0, 1023, 1024, 1025, 10**6])
    def test_the_first_kib_is_kept(self, size: int) -> None:
        assert error_from_response(500, b"x" * size).body == b"x" * min(size, 1024)

    def test_what_the_rest_says_is_read_all_the_same(self) -> None:
        body = json.dumps({"filler": "x" * 5000, "message": "m"}).encode()
        assert error_from_response(500, body).message == "m"


class TestMask:
    SECRETS = ("hunter2", 'p"\\/é😀\n', "<&>'")

    def shown(self, error: StatusError) -> str:
        return f"{error} {error!r} {vars(error)} {error.args} {error.body.decode('utf-8', 'replace')}"

    @pytest.mark.parametrize("secret", SECRETS, ids=ascii)
    @pytest.mark.parametrize(
        "make",
        [
            lambda s: {"message": f"x {s} y", "code": s, "trace_id": s, "details": [s, {"k": s}, [s]]},
            lambda s: {"error": s},
            lambda s: {"detail": s},
            lambda s: {"detail": [{"loc": ["body", s], "msg": f"bad {s}", "input": {"secret": s}}]},
            lambda s: {"detail": {"message": s, "x": s}},
            lambda s: {"details": {s: 1, "inner": {f"a{s}b": [s]}}},
            lambda s: {"unread": s},
            lambda s: [s],
            lambda s: s,
        ],
        ids=["everywhere", "error", "detail", "field errors", "detail object", "as a name", "unread", "list", "text"],
    )
    @pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "UTF-8"])
    def test_what_the_server_echoes_is_masked_however_it_is_spelt(self, make, secret: str, ascii_only: bool) -> None:
        body = json.dumps(make(secret), ensure_ascii=ascii_only).encode()
        error = error_from_response(422, body, redactor=Redactor(secret))
        shown = self.shown(error)
        for spelling in (
            secret,
            repr(secret)[1:-1],
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
        ):
            assert spelling not in shown
        assert "***" in error.body.decode()

    def test_escapes_that_our_encoder_does_not_write(self) -> None:
        body = b'{"message":"\\u0068unte\\u0072\\u0032"}'
        error = error_from_response(400, body, redactor=Redactor("hunter2"))
        assert error.message == "***"
        assert error.body == b'{"message":"***"}'

    def test_in_a_page_that_is_not_json(self) -> None:
        error = error_from_response(502, b"<html>Bearer hunter2</html>", redactor=Redactor("hunter2"))
        assert error.body == b"<html>Bearer ***</html>"

    def test_a_secret_across_the_end_of_what_is_kept(self) -> None:
        error = error_from_response(502, b"x" * 1020 + b"hunter2", redactor=Redactor("hunter2"))
        assert error.body == b"x" * 1020 + b"***"

    @pytest.mark.parametrize(
        "order", [["key", "keychain-4711"], ["keychain-4711", "key"]], ids=["short first", "long first"]
    )
    def test_a_secret_that_is_the_beginning_of_another(self, order: list[str]) -> None:
        error = error_from_response(400, b'{"message":"keychain-4711"}', redactor=Redactor(*order))
        assert "4711" not in self.shown(error)

    def test_a_body_that_cannot_be_written_again_is_dropped(self) -> None:
        error = error_from_response(400, b'{"a":"\\ud800","message":"\\u0068unter2"}', redactor=Redactor("hunter2"))
        assert "hunter2" not in self.shown(error)
        assert "unter2" not in error.body.decode()

    def test_an_empty_string_hides_nothing(self) -> None:
        assert error_from_response(400, b'{"message":"m"}', redactor=Redactor("")).message == "m"

    def test_without_a_secret_in_it_the_body_is_kept_as_it_came(self) -> None:
        body = b'{ "message" : "\\u006d" }'
        assert error_from_response(400, body, redactor=Redactor("hunter2")).body == body


class TestToWire:
    @pytest.mark.parametrize(
        "error",
        [
            GovernanceBlock("t-1"),
            InvalidInput("bad", "t-1", [{"loc": ["body"]}]),
            NotFound("gone"),
            AuthenticationFailed(code="EXPIRED"),
            RateLimited("slow", "t", {"limit": 5}),
            ServerError("down", status_code=503),
            StatusError("tea", "t", {"a": None}, status_code=418, code="TEA"),
            StatusError("odd", status_code=499),
        ],
        ids=repr,
    )
    def test_what_is_written_is_read_back(self, error: StatusError) -> None:
        body: dict[str, Any] = error_to_wire(error)
        again = error_from_response(error.status_code, json.dumps(body).encode())
        names = ("status_code", "code", "message", "trace_id", "details")
        assert type(again) is type(error)
        assert {name: getattr(again, name) for name in names} == {name: getattr(error, name) for name in names}

    def test_it_is_the_documented_form(self) -> None:
        body = error_to_wire(GovernanceBlock("t-1"))
        assert body == {
            "error": "Forbidden",
            "code": "GOVERNANCE_BLOCK",
            "message": "Request blocked by governance",
            "trace_id": "t-1",
        }
        assert ErrorResponse.from_wire(body).to_wire() == body | {"details": None}

    def test_a_status_without_a_phrase(self) -> None:
        assert error_to_wire(StatusError(status_code=499))["error"] == "Status 499"


@pytest.mark.parametrize(
    ("status", "redirect"), [(299, False), (300, True), (301, True), (399, True), (400, False), (418, False)]
)
def test_a_redirect_is_called_one(status: int, redirect: bool) -> None:
    message = f"the server answered with status {status}"
    message += ", a redirect, which is not followed: check the base URL" if redirect else ""
    assert error_from_response(status, b"").message == message


def test_a_body_that_cannot_be_masked_is_not_kept() -> None:
    error = error_from_response(500, b'{"message": "hunter2 \\ud800"}', redactor=Redactor("hunter2"))
    assert error.body == b""


def test_items_of_a_list_of_errors_that_say_nothing_are_passed_over() -> None:
    error = error_from_response(
        422, b'{"detail": ["msg", 1, {"loc": ["body"]}, {"msg": "x"}, {"loc": [1], "msg": "y"}]}'
    )
    assert error.message == "x; 1: y"
