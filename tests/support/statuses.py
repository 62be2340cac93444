"""Every status of `faults.md` with every form of body, and what a caller sees of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from hestiaos import (
    AuthenticationFailed,
    GovernanceBlock,
    HestiaError,
    InvalidInput,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
)
from tests.support.sessions import KEY
from tests.support.wire import response, to_json

STATUSES = (400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 502, 503, 504)
_CLASSES: dict[int, type[StatusError]] = {
    401: AuthenticationFailed,
    403: GovernanceBlock,
    404: NotFound,
    422: InvalidInput,
    429: RateLimited,
}
_FIXED_CODES = {403: "GOVERNANCE_BLOCK", 404: "NOT_FOUND", 422: "INVALID_INPUT"}
_OWN_CODES = {401: "AUTHENTICATION_FAILED", 429: "RATE_LIMITED"}

_FIELDS = [{"loc": ["body", "input"], "msg": "Field required", "type": "missing"}]


@frozen
class Refusal:
    """A response that is not a success, and the exception that it is."""

    status: int
    raw: bytes
    body: bytes
    code: str | None
    message: str | None
    trace_id: str | None
    details: Any

    def check(self, error: HestiaError | None) -> None:
        kind = _CLASSES.get(self.status, ServerError if self.status >= 500 else StatusError)
        assert type(error) is kind
        assert isinstance(error, StatusError)
        assert error.status_code == self.status
        assert error.code == _FIXED_CODES.get(
            self.status, self.code or _OWN_CODES.get(self.status, f"HTTP_{self.status}")
        )
        assert error.trace_id == self.trace_id
        assert error.details == self.details
        assert error.body == self.body.replace(KEY.encode(), b"***")[:1024]
        assert error.retry_after is None
        if self.message is not None:
            assert error.message == self.message


def refusals() -> Iterator[Refusal]:
    """All of them: the documented body, FastAPI's, a proxy's page, nothing; and one that repeats the key."""
    for status in STATUSES:
        documented = {"error": "E", "code": "OWN", "message": "told", "trace_id": "t-1", "details": {"a": [1]}}
        yield _refusal(status, to_json(documented), "OWN", "told", "t-1", {"a": [1]})
        yield _refusal(status, to_json({"detail": "told"}), None, "told", None, None)
        yield _refusal(status, to_json({"detail": _FIELDS}), None, "body.input: Field required", None, _FIELDS)
        inner = {"code": "OWN", "message": "told", "trace_id": "t-1"}
        yield _refusal(status, to_json({"detail": inner}), "OWN", "told", "t-1", inner)
        yield _refusal(status, to_json({"trace_id": "t-1"}), None, None, "t-1", None)
        page = f"<html><body><h1>{status}</h1>{'nginx ' * 400}</body></html>".encode()
        yield _refusal(status, page, None, None, None, None, content_type="text/html")
        yield _refusal(status, b"", None, None, None, None)
        yield _refusal(status, to_json({"message": f"no such key: {KEY}"}), None, "no such key: ***", None, None)


def _refusal(
    status: int,
    body: bytes,
    code: str | None,
    message: str | None,
    trace_id: str | None,
    details: Any,
    content_type: str = "application/json",
) -> Refusal:
    raw = response(status, body, content_type=content_type)
    return Refusal(status, raw, body, code, message, trace_id, details)
