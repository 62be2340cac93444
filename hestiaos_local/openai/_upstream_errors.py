"""Map failures of a model server to the exceptions of this SDK.

| the model server | exception | code |
| --- | --- | --- |
| cannot be reached | `ServerError` 503: nothing was executed, a client may repeat | `MODEL_UNREACHABLE` |
| 401 | `ServerError` 502: the key is the platform's, not the client's | `MODEL_AUTHENTICATION_FAILED` |
| 404 | `NotFound` | `MODEL_NOT_FOUND` |
| 400, 413, 422 | `InvalidInput` | `INVALID_INPUT` |
| 429 | `RateLimited`, with its wait | `MODEL_RATE_LIMITED` |
| 503 | `ServerError` 503, with its wait | `MODEL_UNAVAILABLE` |
| any other status | `ServerError` 502 | `MODEL_FAILED` |
| sends nothing for too long | `ServerError` 504 | `MODEL_TIMED_OUT` |
| ends in the middle of an answer | `ServerError` 502 | `MODEL_STREAM_CUT` |
| anything other than a completion | `ServerError` 502 | `MODEL_PROTOCOL_ERROR` |
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
"""The maximum length of a model server's message that is quoted, in characters."""


def model_unreachable(why: str) -> ServerError:
    """Return the error for a model server that cannot be connected to."""
    return ServerError(f"the model server cannot be reached: {why}", status_code=503, code="MODEL_UNREACHABLE")


def model_timed_out(why: str) -> ServerError:
    """Return the error for a model server that did not respond in time."""
    return ServerError(f"the model server did not answer in time: {why}", status_code=504, code="MODEL_TIMED_OUT")


def model_stream_cut(why: str) -> ServerError:
    """Return the error for an answer that ended before it was complete."""
    return ServerError(f"the model server's answer was cut off: {why}", status_code=502, code="MODEL_STREAM_CUT")


def model_protocol_error(why: str) -> ServerError:
    """Return the error for a response that is not a completion."""
    return ServerError(f"the model server broke its protocol: {why}", status_code=502, code="MODEL_PROTOCOL_ERROR")


def model_fault(error: HestiaError) -> ServerError:
    """Return the error for a fault of the connection to a model server."""
    if isinstance(error, ConnectFailed) or (isinstance(error, TimedOut) and not error.request_sent):
        return model_unreachable(error.message)
    return (model_timed_out if isinstance(error, TimedOut) else model_stream_cut)(error.message)


def upstream_error(status: int, headers: Mapping[str, str], body: bytes | None, redactor: Redactor) -> StatusError:
    """Return the exception for a response of a model server with an error status.

    The names of `headers` are in lower case. `body` is `None` if it was not read to its end. `redactor` hides the
    model server's key.
    """
    message = f"status {status}{_said(_quoted(body, redactor), redactor)}"
    if 300 <= status < 400:
        message += "; redirects are not followed: check the URL of the model server"
    return _mapped(status, message, _retry_after(headers))


def stated_error(value: Mapping[str, Any], redactor: Redactor, *, event: str = "message") -> StatusError | None:
    """Return the exception for an error in a body or a stream with status 200, or None if there is none.

    `event` is the type of the stream's event, which is `error` for some servers.
    """
    error = value.get("error")
    if not error and value.get("object") != "error" and event != "error":
        return None
    inner = error if isinstance(error, dict) else value
    return _mapped(_status(inner), f"an error in its answer{_said(_message(value), redactor)}", None)


def _mapped(status: int, message: str, wait: float | None) -> StatusError:
    if status == 401:
        return ServerError(
            f"the model server refused the platform's key: {message}",
            status_code=502,
            code="MODEL_AUTHENTICATION_FAILED",
        )
    if status == 404:
        return NotFound(f"the model server does not have the model or the path: {message}", code="MODEL_NOT_FOUND")
    if status in (400, 413, 422):
        return InvalidInput(f"the model server refused the request: {message}")
    if status == 429:
        return RateLimited(
            f"the model server received too many requests: {message}", retry_after=wait, code="MODEL_RATE_LIMITED"
        )
    if status == 503:
        return ServerError(
            f"the model server is not ready: {message}", status_code=503, retry_after=wait, code="MODEL_UNAVAILABLE"
        )
    return ServerError(f"the model server failed: {message}", status_code=502, code="MODEL_FAILED")


def _quoted(body: bytes | None, redactor: Redactor) -> str:
    if body is None:
        return "its body is too large, or was cut off"
    try:
        return _message(json.loads(body))
    except ValueError:
        return redactor.quote(body) if body.strip() else ""


def _message(value: Any) -> str:
    """Return the message of an error body in the formats of OpenAI, vLLM, Ollama and FastAPI."""
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        value = value["error"]
    if isinstance(value, dict):
        value = next((value[key] for key in ("error", "message", "detail") if isinstance(value.get(key), str)), "")
    return value if isinstance(value, str) else ""


def _said(message: str, redactor: Redactor) -> str:
    masked = redactor.text(message)  # before shortening, which could split the key
    return f": {masked[:_MAX_MESSAGE]}{'…' if len(masked) > _MAX_MESSAGE else ''}" if masked else ""


def _status(error: Mapping[str, Any]) -> int:
    """Return the status in an error object, a number or a string of digits, or 500 if there is none."""
    for name in ("code", "status"):
        value = error.get(name)
        if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdigit():
            value = int(value)
        if type(value) is int and 400 <= value < 600:
            return value
    return 500


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the delay in seconds of `retry-after-ms`, or of Retry-After, which is in seconds or a date (RFC 9110,
    section 10.2.3).

    A date is compared with the response's own Date, so that no clock is needed.
    """
    for name, scale in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            wait = float(headers.get(name, "")) / scale
        except ValueError:
            continue
        if isfinite(wait) and wait >= 0:
            return wait
    from email.utils import parsedate_to_datetime  # rarely needed, and slow to import

    try:
        until, now = parsedate_to_datetime(headers["retry-after"]), parsedate_to_datetime(headers["date"])
        return max(0.0, (until - now).total_seconds())
    except (KeyError, TypeError, ValueError):  # TypeError: only one of the dates has a time zone
        return None
