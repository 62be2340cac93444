"""Errors in the form of OpenAI's API: `{"error": {"message", "type", "param", "code"}}`."""

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
    """The status and the body of an error. An input that does not fit is a 400 here, not a 422."""
    status = 400 if isinstance(error, InvalidInput) else error.status_code
    return status, json.dumps(error_body(error))


def error_body(error: StatusError) -> dict[str, Any]:
    """The body of an error, with its trace id, and the details of a block or of a limit that has no room."""
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
    """The message, of a block with its reason: OpenAI's clients show nothing else of an error."""
    if isinstance(error, GovernanceBlock) and isinstance(error.details, dict) and error.details.get("reason"):
        return f"{error.message}: {error.details['reason']}"
    return error.message


def _param(error: StatusError) -> str | None:
    """The field that an error is about."""
    if isinstance(error, NotFound):
        return "model" if error.code == "MODEL_NOT_FOUND" else None
    if not (isinstance(error.details, list) and error.details and isinstance(error.details[0], dict)):
        return None
    return shown_place(error.details[0].get("loc", [])[1:]) or None


def shown_place(place: Iterable[str]) -> str:
    """The place of a field as OpenAI's API names it: `messages[0].content`."""
    return "".join(f"[{each}]" if each.isdigit() else f".{each}" for each in place).removeprefix(".")
