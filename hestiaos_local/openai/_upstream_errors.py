"""The failures of a model server, as the exceptions that our own clients raise.

| the model server | our exception | code |
| --- | --- | --- |
| cannot be reached | `ServerError` 503: nothing was executed, a client may repeat | `MODEL_UNREACHABLE` |
| 401 | `ServerError` 502: it is our key, not the client's | `MODEL_AUTHENTICATION_FAILED` |
| 404 | `NotFound` | `MODEL_NOT_FOUND` |
| 400, 413, 422 | `InvalidInput` | `INVALID_INPUT` |
| 429 | `RateLimited`, with its wait | `MODEL_RATE_LIMITED` |
| 503 | `ServerError` 503, with its wait | `MODEL_UNAVAILABLE` |
| any other status | `ServerError` 502 | `MODEL_FAILED` |
| sends nothing for too long | `ServerError` 504 | `MODEL_TIMED_OUT` |
| ends before its answer does | `ServerError` 502 | `MODEL_STREAM_CUT` |
| anything else than a completion | `ServerError` 502 | `MODEL_PROTOCOL_ERROR` |
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from hestiaos_proto import (
    ConnectFailed,
    HestiaError,
    InvalidInput,
    NotFound,
    RateLimited,
    Redactor,
    ServerError,
    StatusError,
    TimedOut,
    json,
)

__all__ = [
    "model_fault",
    "model_protocol_error",
    "model_stream_cut",
    "model_timed_out",
    "model_unreachable",
    "stated_error",
    "upstream_error",
]

_MAX_MESSAGE = 500
"""How much of a model server's own message is repeated, in characters."""


def model_unreachable(why: str) -> ServerError:
    """No connection to the model server could be made."""
    return ServerError(f"the model server cannot be reached: {why}", status_code=503, code="MODEL_UNREACHABLE")


def model_timed_out(why: str) -> ServerError:
    """The model server was silent for too long."""
    return ServerError(f"the model server did not answer in time: {why}", status_code=504, code="MODEL_TIMED_OUT")


def model_stream_cut(why: str) -> ServerError:
    """The model server's answer ended before it was complete."""
    return ServerError(f"the model server's answer was cut off: {why}", status_code=502, code="MODEL_STREAM_CUT")


def model_protocol_error(why: str) -> ServerError:
    """The model server sent something else than a completion."""
    return ServerError(f"the model server broke its protocol: {why}", status_code=502, code="MODEL_PROTOCOL_ERROR")


def model_fault(error: HestiaError) -> ServerError:
    """The exception for a fault of the connection to a model server."""
    if isinstance(error, ConnectFailed) or (isinstance(error, TimedOut) and not error.request_sent):
        return model_unreachable(error.message)
    return (model_timed_out if isinstance(error, TimedOut) else model_stream_cut)(error.message)


def upstream_error(status: int, headers: Mapping[str, str], body: bytes, redactor: Redactor) -> StatusError:
    """The exception for a response of a model server that is not a completion.

    The names of `headers` are in lower case. `redactor` hides the model server's key.
    """
    try:
        said = _message(json.loads(body))
    except ValueError:
        said = redactor.quote(body) if body.strip() else ""
    message = f"status {status}{_said(said, redactor)}"
    if 300 <= status < 400:
        message += "; it is a redirect, which is not followed: check the URL of the model server"
    return _mapped(status, message, _retry_after(headers))


def stated_error(value: Mapping[str, Any], redactor: Redactor, *, event: str = "message") -> StatusError | None:
    """The exception for an error in a body or a stream with status 200; `None` where none does.

    `event` is the type of the stream's event: some servers say `error` there.
    """
    error = value.get("error")
    if not error and value.get("object") != "error" and event != "error":
        return None
    inner = error if isinstance(error, dict) else value
    return _mapped(_status(inner), f"an error in its answer{_said(_message(value), redactor)}", None)


def _mapped(status: int, message: str, wait: float | None) -> StatusError:
    if status == 401:
        return ServerError(
            f"the model server does not accept our key: {message}", status_code=502, code="MODEL_AUTHENTICATION_FAILED"
        )
    if status == 404:
        return NotFound(f"the model server does not know the model, or the path: {message}", code="MODEL_NOT_FOUND")
    if status in (400, 413, 422):
        return InvalidInput(f"the model server refused the request: {message}")
    if status == 429:
        return RateLimited(
            f"the model server is asked too often: {message}", retry_after=wait, code="MODEL_RATE_LIMITED"
        )
    if status == 503:
        return ServerError(
            f"the model server is not ready: {message}", status_code=503, retry_after=wait, code="MODEL_UNAVAILABLE"
        )
    return ServerError(f"the model server failed: {message}", status_code=502, code="MODEL_FAILED")


def _message(value: Any) -> str:
    """The message of an error body, in the forms of OpenAI, vLLM, Ollama and FastAPI."""
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        value = value["error"]
    if isinstance(value, dict):
        value = next((value[key] for key in ("error", "message", "detail") if isinstance(value.get(key), str)), "")
    return value if isinstance(value, str) else ""


def _said(message: str, redactor: Redactor) -> str:
    masked = redactor.text(message)  # before the cut, which could go through the key
    return f": {masked[:_MAX_MESSAGE]}{'…' if len(masked) > _MAX_MESSAGE else ''}" if masked else ""


def _status(error: Mapping[str, Any]) -> int:
    """The status that an error object names, as a number or as its digits; 500 where it names none."""
    for name in ("code", "status"):
        value = error.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
            value = int(value)
        if type(value) is int and 400 <= value < 600:
            return value
    return 500


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The wait in seconds: `retry-after-ms`, or Retry-After as seconds or as a date (RFC 9110, section 10.2.3).

    A date is compared with the response's own Date, which takes no clock.
    """
    for name, scale in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            wait = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if isfinite(wait) and wait >= 0:
            return wait
    from email.utils import parsedate_to_datetime  # seldom needed, and slow to load

    try:
        until, now = parsedate_to_datetime(headers["retry-after"]), parsedate_to_datetime(headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (KeyError, TypeError, ValueError):  # a TypeError: only one of the dates has a zone
        return None
