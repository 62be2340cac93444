"""The exception tree.

```
HestiaError(code, message, trace_id)
├── StatusError                     .status_code .details .retry_after .body (the first KiB)
│   ├── GovernanceBlock             403
│   ├── InvalidInput                422
│   ├── NotFound                    404
│   ├── AuthenticationFailed        401
│   ├── RateLimited                 429
│   └── ServerError                 5xx
├── TransportError                  .request_sent
│   ├── ConnectFailed               also a ConnectionError
│   ├── ConnectionLost              also a ConnectionError
│   └── TimedOut                    also a TimeoutError
└── ProtocolError
    ├── RemoteProtocolError         the peer broke the protocol
    │   └── StreamInterrupted       .events_received .last_event
    └── LocalProtocolError          the caller broke the protocol
```

All of them can be pickled, with their attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard, TypeVar

if TYPE_CHECKING:
    from hestiaos_proto._client_messages import ResponseInfo
    from hestiaos_proto._events import StreamEvent

__all__ = [
    "AuthenticationFailed",
    "ConnectFailed",
    "ConnectionLost",
    "GovernanceBlock",
    "HestiaError",
    "InvalidInput",
    "LocalProtocolError",
    "NotFound",
    "ProtocolError",
    "RateLimited",
    "RemoteProtocolError",
    "ServerError",
    "StatusError",
    "StreamInterrupted",
    "TimedOut",
    "TransportError",
]

_E = TypeVar("_E", bound="HestiaError")


class HestiaError(Exception):
    """The base of every exception of this SDK.

    `code` is for programs (`"GOVERNANCE_BLOCK"`), `message` for people. By `trace_id` the request is found in the audit
    trail of the server; it is `None` if the server sent none. `response` has the status, headers and request id of the
    response, and is `None` if there was none.
    """

    response: ResponseInfo | None = None

    def __init__(self, code: str, message: str, trace_id: str | None = None) -> None:
        super().__init__(f"[{code}] {message}")
        self.code = code
        self.message = message
        self.trace_id = trace_id

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"

    def __repr__(self) -> str:
        trace = f", trace_id={self.trace_id!r}" if self.trace_id else ""
        return f"{type(self).__name__}({self.message!r}, code={self.code!r}{trace})"

    def __reduce__(self) -> tuple[Any, ...]:
        # The constructors differ, so a copy is made from the attributes and not by a constructor.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(cls: type[_E], args: tuple[Any, ...], state: Mapping[str, Any]) -> _E:
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class StatusError(HestiaError):
    """The server answered with a status other than 2xx.

    `status_code` is the HTTP status; `details` is what the body has besides its message (for example the list of field
    errors of a FastAPI server); `retry_after` is the wait that the server asked for, in seconds (RFC 9110, section
    10.2.3), or
    `None`; `body` is the first KiB of the body as received.
    """

    default_status: ClassVar[int] = 400
    default_code: ClassVar[str | None] = None
    default_message: ClassVar[str] = "The server refused the request"

    def __init__(
        self,
        message: str | None = None,
        trace_id: str | None = None,
        details: Any = None,
        *,
        status_code: int | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        body: bytes = b"",
    ) -> None:
        self.status_code: int = self.default_status if status_code is None else status_code
        text = self.default_message if message is None else message
        super().__init__(code or self.default_code or f"HTTP_{self.status_code}", text, trace_id)
        self.details: Any = details
        self.retry_after = retry_after
        self.body = body

    def __str__(self) -> str:
        wait = "" if self.retry_after is None else f" (the server asks to wait {self.retry_after:g} s)"
        return f"{super().__str__()}{wait}"


class GovernanceBlock(StatusError):
    """Governance refused to execute the request (403).

    `details` says which rule refused and why, if the server reports it: `rule`, `reason`, `risk_score`, `policy` and
    `trace_id`; and, in `approval`, the `id` of the approval that would let the call pass, when it `expires`, and its
    `status`. `str()` has them too.
    """

    default_status = 403
    default_code: ClassVar[str | None] = "GOVERNANCE_BLOCK"
    default_message = "Request blocked by governance"

    def __init__(self, trace_id: str | None = None, **rest: Any) -> None:
        super().__init__(trace_id=trace_id, **rest)
        if trace_id and isinstance(self.details, dict) and "rule" in self.details:
            self.details = self.details | {"trace_id": trace_id}

    def __str__(self) -> str:
        details = self.details if isinstance(self.details, dict) else {}
        names = {"rule": "rule", "reason": "reason", "risk_score": "risk"}
        facts = [f"{shown} {details[name]}" for name, shown in names.items() if details.get(name) is not None]
        facts += [f"trace {self.trace_id}"] if self.trace_id else []
        approval = details.get("approval")
        facts += [f"approval {approval['id']} ({approval.get('status')})"] if _names_an_approval(approval) else []
        return f"{super().__str__()}{': ' if facts else ''}{', '.join(facts)}"


def _names_an_approval(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and isinstance(value.get("id"), str)


class InvalidInput(StatusError):
    """The request does not fit the server's schema (422); `details` says where."""

    default_status = 422
    default_code: ClassVar[str | None] = "INVALID_INPUT"
    default_message = "Invalid input"


class NotFound(StatusError):
    """The resource does not exist (404)."""

    default_status = 404
    default_code: ClassVar[str | None] = "NOT_FOUND"
    default_message = "Resource not found"


class AuthenticationFailed(StatusError):
    """The API key is missing or wrong (401)."""

    default_status = 401
    default_code: ClassVar[str | None] = "AUTHENTICATION_FAILED"
    default_message = "The API key is missing or wrong"


class RateLimited(StatusError):
    """Too many requests (429); `retry_after` is the wait in seconds that the server asked for, or `None`."""

    default_status = 429
    default_code: ClassVar[str | None] = "RATE_LIMITED"
    default_message = "Too many requests"


class ServerError(StatusError):
    """The server failed (5xx)."""

    default_status = 500
    default_message = "The server failed"


class TransportError(HestiaError):
    """The connection failed; the transport library's own exception is the `__cause__`.

    If `request_sent` is false, no part of the request can have reached the server, and any request can be repeated.
    """

    default_code: ClassVar[str] = "TRANSPORT_ERROR"

    def __init__(self, message: str, *, request_sent: bool = True) -> None:
        super().__init__(self.default_code, message)
        self.request_sent = request_sent


class ConnectFailed(TransportError, ConnectionError):
    """No connection could be made: it was refused, the name is unknown, or TLS failed."""

    default_code: ClassVar[str] = "CONNECT_FAILED"

    def __init__(self, message: str) -> None:
        super().__init__(message, request_sent=False)


class ConnectionLost(TransportError, ConnectionError):
    """The connection ended before the response did.

    `stale` is true for a connection that was used before and ended before any part of this response arrived: the server
    has probably closed it because it was idle.
    """

    default_code: ClassVar[str] = "CONNECTION_LOST"
    stale: bool = False


class TimedOut(TransportError, TimeoutError):
    """The connect, a read, a write or the whole call took longer than allowed."""

    default_code: ClassVar[str] = "TIMED_OUT"


class ProtocolError(HestiaError):
    """One of the two sides broke the protocol."""

    default_code: ClassVar[str] = "PROTOCOL_ERROR"

    def __init__(self, message: str) -> None:
        super().__init__(self.default_code, message)


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol: not HTTP, wrong JSON, a wrong order of events, or more data than the limit."""

    default_code: ClassVar[str] = "REMOTE_PROTOCOL_ERROR"


class StreamInterrupted(RemoteProtocolError):
    """The stream ended before its `done` event.

    `events_received` counts the events that were delivered, `last_event` is the last of them or `None`.
    """

    default_code: ClassVar[str] = "STREAM_INTERRUPTED"

    def __init__(self, message: str, *, events_received: int = 0, last_event: StreamEvent | None = None) -> None:
        super().__init__(message)
        self.events_received = events_received
        self.last_event = last_event


class LocalProtocolError(ProtocolError):
    """The caller broke the protocol: it used something that is closed, or two readers shared a stream."""

    default_code: ClassVar[str] = "LOCAL_PROTOCOL_ERROR"


for _name in __all__:
    globals()[_name].__module__ = "hestiaos_proto"  # where it is imported from, as tracebacks show it
