"""The server's side of an exchange: a request becomes a `ServerRequest`, a result an `EncodedResponse`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from math import ceil, isfinite
from types import NoneType
from typing import Any

from attrs import evolve, field, frozen

from hestiaos_proto import json
from hestiaos_proto._error_bodies import error_to_wire
from hestiaos_proto._errors import LocalProtocolError, NotFound, RemoteProtocolError, ServerError, StatusError
from hestiaos_proto._events import StreamEvent
from hestiaos_proto._models import Model
from hestiaos_proto._operation import RESUMABLE
from hestiaos_proto._routes import ROUTES
from hestiaos_proto._version import __version__

__all__ = [
    "STREAM_HEADERS",
    "Control",
    "EncodedResponse",
    "NumberedEvent",
    "ResponseHead",
    "Result",
    "ServerRequest",
    "as_status_error",
    "encode_json",
    "encode_response",
    "encode_stream_event",
    "error_events",
]

_SERVER = ("Server", f"hestiaos/{__version__}")

Result = Model | dict[str, Any] | list[Any] | str | None
"""The result of an operation that is not a stream: a model, an object, a list, the value of a secret, or nothing."""

STREAM_HEADERS = (
    _SERVER,
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-store"),
    ("X-Accel-Buffering", "no"),  # a reverse proxy in front is to pass each event on as it arrives
)
"""The headers in front of an event stream."""


class Control(Enum):
    """Items for `ServerConnection.send` besides results, events and exceptions."""

    CONTINUE = "100 Continue, for a client that waits before it sends its body (RFC 9110, section 10.1.1)"
    HEARTBEAT = "a comment, which keeps an idle stream alive"


@frozen
class ServerRequest:
    """A parsed request: the name of its `operation` and the `arguments`, as in the functions of `operations`.

    `refusal` is the exception to respond with if the request is not one of the wire's operations, or its arguments do
    not fit; `operation` is then `""`. The names of `headers` are in lower case. `method` and `target` are the
    request's own. `resource` is the path if it is one of the server's own, beyond the wire's: `operation` is then `""`,
    and `body` is as received. `response` is the response if the request was decided by its head.
    """

    operation: str
    arguments: Mapping[str, Any] = field(repr=False)  # one may be a secret
    headers: Mapping[str, str] = field(repr=False)  # one is the key
    refusal: StatusError | None = None
    method: str = field(default="", kw_only=True, eq=False, repr=False)
    target: str = field(default="", kw_only=True, eq=False, repr=False)
    resource: str | None = field(default=None, kw_only=True, repr=False)
    body: bytes = field(default=b"", kw_only=True, repr=False)
    response: EncodedResponse | None = field(default=None, kw_only=True, repr=False)

    @property
    def key(self) -> str | None:
        """The API key, which is sent as a bearer token (RFC 6750, section 2.1); `None` if there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    @property
    def idempotency_key(self) -> str | None:
        """The key that is the same for each repeat of a call; `None` if there is none."""
        return self.headers.get("idempotency-key") or None

    @property
    def last_event_id(self) -> str | None:
        """The id of the event after which to resume a stream, `None` if it is a new one."""
        return self.headers.get("last-event-id") or None

    @property
    def resumable(self) -> bool:
        """Whether the client will resume its stream if the connection is lost (RFC 7240, section 2)."""
        preferences = self.headers.get("prefer", "").lower().split(",")
        return any(each.partition(";")[0].strip() == RESUMABLE for each in preferences)


@frozen(weakref_slot=False)
class NumberedEvent(StreamEvent):
    """An event with an id, `{trace_id}/{number}`, after which a client can resume the stream.

    The numbers count the events of a run from 0.
    """

    number: int = field(kw_only=True)

    @property
    def id(self) -> str:
        """The id in the event's `id` line."""
        return f"{self.trace_id}/{self.number}"


@frozen
class EncodedResponse:
    """A whole response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


@frozen
class ResponseHead:
    """The head of a response whose body follows in pieces."""

    status: int
    headers: tuple[tuple[str, str], ...]


def encode_response(operation: str, result: Result | BaseException) -> EncodedResponse:
    """Encode the response for `result`, the result of the operation or an exception.

    An exception other than a `StatusError` becomes a `ServerError` without its details. Raises
    `LocalProtocolError` for a result of another type than the operation's.
    """
    if isinstance(result, BaseException):
        return _refuse(as_status_error(result))
    route = ROUTES[operation]
    if result is None and route.absent:  # on the wire, None is a 404
        return _refuse(NotFound())
    if not isinstance(result, route.result):
        right = "None" if route.result is NoneType else f"a {route.result.__name__}"
        raise LocalProtocolError(f"{operation} is answered with {right}, not with a {type(result).__name__}")
    return encode_json(route.write(result))


def encode_json(value: object, status: int = 200) -> EncodedResponse:
    """Encode a response with a JSON value. Raises `ValueError` or `TypeError` if it is not one."""
    body = json.dumps(value)
    headers = (_SERVER, ("Content-Type", "application/json"), ("Content-Length", str(len(body))))
    return EncodedResponse(status, headers, body)


def as_status_error(error: BaseException, *, status: int = 400) -> StatusError:
    """Return the error that a client gets for an exception. `status` is that of a request that broke the protocol."""
    if isinstance(error, StatusError) and 400 <= error.status_code < 600:
        return error
    if isinstance(error, RemoteProtocolError):  # here the remote side is the client
        return StatusError(error.message, status_code=status, code="BAD_REQUEST")
    return ServerError("the server failed", getattr(error, "trace_id", None), code="INTERNAL_ERROR")


def encode_stream_event(event: StreamEvent) -> bytes:
    """Encode an event of a run's stream."""
    # As `encode_event`, without its search for line ends: compact JSON has none, since those in strings are escaped.
    data = b"data: " + json.dumps(event.to_wire()) + b"\n\n"
    return f"id: {event.id}\n".encode() + data if isinstance(event, NumberedEvent) else data


def error_events(error: BaseException, last: StreamEvent | None) -> list[StreamEvent]:
    """Return the events that end a stream that has failed: an `error` event, if the order allows one, then `done`.

    `last` is the last event that was sent. Without one, after heartbeats only, `start` comes first.
    """
    trace_id, timestamp = (last.trace_id, last.timestamp) if last is not None else ("", "")
    done = StreamEvent("done", {}, trace_id, timestamp)
    if last is not None and last.type in ("final", "error"):
        return [done]
    failed = StreamEvent("error", error_to_wire(as_status_error(error)), trace_id, timestamp)
    return [StreamEvent("start"), failed, done] if last is None else [failed, done]


def _refuse(error: StatusError) -> EncodedResponse:
    response = encode_json(error_to_wire(error), error.status_code)
    headers: list[tuple[str, str]] = []
    if error.status_code == 401:  # RFC 9110, section 11.6.1
        headers.append(("WWW-Authenticate", "Bearer"))
    if error.status_code == 405:  # RFC 9110, section 15.5.6
        allowed = error.details.get("allowed", []) if isinstance(error.details, dict) else []
        headers.append(("Allow", ", ".join(allowed)))
    if error.status_code == 415:  # RFC 9110, section 15.5.16
        headers.append(("Accept-Encoding", "identity"))
    if error.retry_after is not None and isfinite(error.retry_after):  # RFC 9110, section 10.2.3: whole seconds
        headers.append(("Retry-After", str(ceil(error.retry_after))))
    return evolve(response, headers=(*response.headers, *headers)) if headers else response
