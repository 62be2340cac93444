"""From an error response to its exception, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hestiaos_proto import json
from hestiaos_proto._client_messages import IS_IT_HESTIAOS
from hestiaos_proto._errors import (
    AuthenticationFailed,
    GovernanceBlock,
    InvalidInput,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
)
from hestiaos_proto._redaction import Redactor

__all__ = ["error_from_response", "error_to_wire", "lacks_operation", "unknown_operation"]

_EXCEPTIONS: Mapping[int, type[StatusError]] = {
    401: AuthenticationFailed,
    403: GovernanceBlock,
    404: NotFound,
    422: InvalidInput,
    429: RateLimited,
}
_OWN_CODE = (401, 429)  # for these, and for a status without a class of its own, the code of the body is used
_BODY_KEPT = 1024  # how much of an error body its exception keeps, in bytes


def error_from_response(
    status: int,
    body: bytes,
    *,
    retry_after: float | None = None,
    redactor: Redactor | None = None,
    described: str | None = None,
) -> StatusError:
    """Return the exception for an error response, with what could be read from the body.

    The body is the documented form, a FastAPI server's `{"detail": …}`, OpenAI's `{"error": {…}}`, or not JSON at all.
    Where it has no message, or one that only repeats the status (`Not Found`), the message is `described`: who answered
    with what. `redactor` hides the secrets of the request in it.
    """
    redactor = redactor or Redactor()
    read = _parsed(body)
    masked = redactor.value(read)
    fields = _read(masked)
    if masked != read:  # JSON can spell a secret in many ways, so the body is written again
        body = _written(masked)
    body = redactor.data(body)
    message = fields.get("message")
    ours = isinstance(read, dict)  # its form at least may be that of a HestiaOS server
    if described is not None and message is not None and message.lower() == _phrase(status).lower():
        message, ours = None, not fields.keys().isdisjoint({"code", "trace_id"})
    kind = _EXCEPTIONS.get(status, ServerError if status >= 500 else StatusError)
    if message is None:
        message = _message(kind, status, described, ours=ours)
    return kind(
        message=message,
        trace_id=fields.get("trace_id"),
        details=fields.get("details"),
        status_code=status,
        code=fields.get("code") if status in _OWN_CODE or status not in _EXCEPTIONS else None,
        retry_after=retry_after,
        body=body[:_BODY_KEPT],
    )


def lacks_operation(body: bytes) -> bool:
    """Return whether a 404 is from a server that does not have the operation.

    One that has it says `NOT_FOUND` of what is not there, in the documented form.
    """
    return _read(_parsed(body)).get("code") != NotFound.default_code


def unknown_operation(name: str, since: str, described: str, error: StatusError) -> NotFound:
    """Return the exception for such a 404, instead of `error`. `since` is the version that added the operation."""
    return NotFound(
        f"the server does not have the operation {name}, which was added in version {since}: {described}",
        error.trace_id,
        error.details,
        code="UNKNOWN_OPERATION",
        body=error.body,
    )


def _message(kind: type[StatusError], status: int, described: str | None, *, ours: bool) -> str | None:
    """Return the message for a response that has none, or `None` for the default of the exception."""
    redirect = ", a redirect, which is not followed: check the base URL" if 300 <= status < 400 else ""
    if described is None or (ours and status in _EXCEPTIONS):
        return None if status in _EXCEPTIONS else f"the server answered with status {status}{redirect}"
    message = f"{kind.default_message}: {described}" if status in _EXCEPTIONS else described
    return message + (redirect or ("" if ours else f"; {IS_IT_HESTIAOS}"))


def error_to_wire(error: StatusError) -> dict[str, Any]:
    """Return the documented body, which `error_from_response` reads back."""
    body = {
        "error": _phrase(error.status_code),
        "code": error.code,
        "message": error.message,
        "trace_id": error.trace_id,
    }
    return body if error.details is None else body | {"details": error.details}


def _phrase(status: int) -> str:
    from http import HTTPStatus  # imported here, since most calls do not fail

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None  # a proxy's page, or empty


def _written(masked: Any) -> bytes:
    try:
        return json.dumps(masked)
    except ValueError:  # a lone surrogate: leave the body out rather than leak a secret
        return b""


def _read(read: Any) -> dict[str, Any]:
    """Return `code`, `message`, `trace_id` and `details` as far as the JSON of a body has them."""
    if not isinstance(read, dict):
        return {}
    if isinstance(error := read.get("error"), dict):  # the form of OpenAI's API, as at a base URL that ends with /v1
        code = error.get("code")  # in small letters, as at the platform's front door
        read = read | {"error": None} | error | {"code": code.upper() if isinstance(code, str) else None}
    detail = read.get("detail")
    if isinstance(detail, dict):  # FastAPI's HTTPException(detail={…}), mostly around the documented form
        read = read | {"details": detail} | detail
    elif isinstance(detail, list):
        read = read | {"details": detail, "message": _field_errors(detail)}
    texts = {name: read.get(name) for name in ("code", "message", "trace_id")}
    texts["message"] = texts["message"] or (detail if isinstance(detail, str) else read.get("error"))
    fields = {name: text for name, text in texts.items() if isinstance(text, str) and text}
    return fields | {"details": read.get("details")}


def _field_errors(items: list[Any]) -> str:
    """Format FastAPI's list of `{"loc", "msg", "type"}` as one line: `body.input: Field required; …`."""
    texts = [
        f"{'.'.join(map(str, item['loc']))}: {item['msg']}" if isinstance(item.get("loc"), list) else str(item["msg"])
        for item in items
        if isinstance(item, dict) and "msg" in item
    ]
    return "; ".join(texts)
