"""Encode errors in the format of OpenAI's API: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hestiaos_proto import (
    AuthenticationFailed,
    GovernanceBlock,
    InvalidInput,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
    json,
)

__all__ = ["encode_error", "error_body", "shown_place"]

_ERROR_TYPES: tuple[tuple[type[StatusError], str], ...] = (
    (AuthenticationFailed, "authentication_error"),
    (RateLimited, "rate_limit_error"),
    (ServerError, "server_error"),
)


def encode_error(error: StatusError) -> tuple[int, bytes]:
    """Return the status and the body of an error. The status of an invalid input is 400, not 422."""
    status = 400 if isinstance(error, InvalidInput) else error.status_code
    return status, json.dumps(error_body(error))


def error_body(error: StatusError) -> dict[str, Any]:
    """Return the body of an error, with its trace id, and the details of a block or an exhausted limit."""
    kind = next((name for kind, name in _ERROR_TYPES if isinstance(error, kind)), "invalid_request_error")
    if error.status_code == 403:
        kind = "permission_error"
    body: dict[str, Any] = {
        "message": _message(error),
        "type": kind,
        "param": _param(error),
        "code": error.code.lower(),
    }
    if error.trace_id is not None:
        body["trace_id"] = error.trace_id
    if isinstance(error, GovernanceBlock | RateLimited) and error.details is not None:
        body["details"] = error.details
    return {"error": body}


def _message(error: StatusError) -> str:
    """Return the message. A block's includes its reason, since OpenAI's clients show only the message."""
    if isinstance(error, GovernanceBlock) and isinstance(error.details, dict) and error.details.get("reason"):
        return f"{error.message}: {error.details['reason']}"
    return error.message


def _param(error: StatusError) -> str | None:
    """Return the name of the field that an error is about, or None."""
    if isinstance(error, NotFound):
        return "model" if error.code == "MODEL_NOT_FOUND" else None
    if not (isinstance(error.details, list) and error.details and isinstance(error.details[0], dict)):
        return None
    return shown_place(error.details[0].get("loc", [])[1:]) or None


def shown_place(place: Iterable[str]) -> str:
    """Format the path of a field like OpenAI's API: `messages[0].content`."""
    return "".join(f"[{each}]" if each.isdigit() else f".{each}" for each in place).removeprefix(".")
