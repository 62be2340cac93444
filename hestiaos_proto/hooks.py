"""What can be heard of a call while it runs: hooks of the user's, and a log.

A client takes `hooks=Hooks(…)`, and so does each of its methods, for one call more. Whatever the binding, a call is
told in this order: `on_request`, then `on_response` or, where none came, nothing; `on_retry` and the next request; each
event of a stream; `on_call_end`, exactly once. An exception that a hook raises is the call's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from attrs import Factory, define, field, frozen

from hestiaos_proto.client_messages import Request, Response
from hestiaos_proto.errors import HestiaError
from hestiaos_proto.events import StreamEvent
from hestiaos_proto.redaction import Redactor

__all__ = ["LOG_LEVEL", "CallInfo", "CallObserver", "Hooks", "Logger", "RequestInfo", "ResponseInfo"]

_DEBUG, _INFO = 10, 20  # the levels of the standard library's logging

LOG_LEVEL = _INFO
"""The highest level at which a call logs anything."""


@define(eq=False)
class CallInfo:
    """One call, the same object for each of its hooks.

    `operation` is its name (`"run_stream"`), `attempt` counts its repeats from 0, `seconds` is the time since it began,
    as of the latest hook. `state` is the hooks' own: a tracer keeps its span there.
    """

    operation: str
    attempt: int = 0
    seconds: float = 0.0
    state: dict[str, Any] = field(factory=dict, repr=False)


@frozen
class RequestInfo:
    """A request that is about to be sent. The API key in `headers` is redacted; the body is not shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body_size: int


@frozen
class ResponseInfo:
    """A response whose status and headers have arrived, their names in lower case, the API key and secrets redacted.

    `request_id` is its `X-Request-Id`, `None` where the server sent none.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    request_id: str | None = Factory(lambda self: self.headers.get("x-request-id"), takes_self=True)

    @classmethod
    def of(cls, response: Response) -> ResponseInfo:
        """What can be told of a response."""
        redact = response.redactor.text
        return cls(response.status, {redact(name): redact(value) for name, value in response.headers.items()})


@frozen(eq=False, kw_only=True)
class Hooks:
    """Functions to be called while a call runs; synchronous, on asynchronous clients too.

    - `on_request(call, request)`: a request is about to be sent, the first or a repeat.
    - `on_response(call, response)`: a response's status and headers have arrived, a refusal's too.
    - `on_retry(call, error, wait)`: the call will be repeated `wait` seconds after this error.
    - `on_stream_event(call, event)`: an event of a stream is about to be returned.
    - `on_call_end(call, error)`: the call is over; `error` is the exception that it raises, a cancellation too, or
      `None`. A stream's call ends with the stream.
    """

    on_request: Callable[[CallInfo, RequestInfo], object] | None = None
    on_response: Callable[[CallInfo, ResponseInfo], object] | None = None
    on_retry: Callable[[CallInfo, HestiaError, float], object] | None = None
    on_stream_event: Callable[[CallInfo, StreamEvent], object] | None = None
    on_call_end: Callable[[CallInfo, BaseException | None], object] | None = None


class Logger(Protocol):
    """What of `logging.Logger` is used here."""

    def isEnabledFor(self, level: int, /) -> bool: ...  # noqa: N802  # the standard library's name

    def log(self, level: int, message: str, /, *args: object) -> None: ...


class CallObserver:
    """Tells the hooks and the log of one call. It ends once, however often it is told."""

    def __init__(
        self, operation: str, hooks: Iterable[Hooks], logger: Logger | None, clock: Callable[[], float]
    ) -> None:
        self.call = CallInfo(operation)
        self._hooks = tuple(hooks)
        if logger is not None and logger.isEnabledFor(LOG_LEVEL):
            self._hooks += (_log_to(logger),)
        self._clock = clock
        self._began = clock()
        self._ended = False
        self.hears_events = any(each.on_stream_event is not None for each in self._hooks)

    def request(self, request: Request, redactor: Redactor, attempt: int) -> None:
        """A request is about to be sent."""
        self.call.attempt = attempt
        headers = {name: redactor.text(value) for name, value in request.headers.items()}
        self._tell("on_request", RequestInfo(request.method, redactor.text(request.url), headers, len(request.body)))

    def response(self, response: ResponseInfo) -> None:
        """A response's head has arrived."""
        self._tell("on_response", response)

    def retry(self, error: HestiaError, wait: float) -> None:
        """The call will be repeated."""
        self._tell("on_retry", error, wait)

    def event(self, event: StreamEvent) -> None:
        """An event is about to be returned."""
        self._tell("on_stream_event", event)

    def end(self, error: BaseException | None) -> None:
        """The call is over."""
        if not self._ended:
            self._ended = True
            self._tell("on_call_end", error)

    def _tell(self, name: str, *what: object) -> None:
        self.call.seconds = self._clock() - self._began
        for each in self._hooks:
            if (hook := getattr(each, name)) is not None:
                hook(self.call, *what)


def _log_to(logger: Logger) -> Hooks:
    def on_request(call: CallInfo, request: RequestInfo) -> None:
        logger.log(_DEBUG, "%s: %s %s, attempt %d", call.operation, request.method, request.url, call.attempt + 1)

    def on_response(call: CallInfo, response: ResponseInfo) -> None:
        logger.log(_DEBUG, "%s: status %d after %.3f s", call.operation, response.status, call.seconds)

    def on_retry(call: CallInfo, error: HestiaError, wait: float) -> None:
        logger.log(_INFO, "%s: repeated in %.3f s, after %s", call.operation, wait, error)

    def on_call_end(call: CallInfo, error: BaseException | None) -> None:
        if error is None:
            logger.log(_DEBUG, "%s: done after %.3f s", call.operation, call.seconds)
        else:
            shown = error if isinstance(error, HestiaError) else type(error).__name__
            logger.log(_INFO, "%s: failed after %.3f s: %s", call.operation, call.seconds, shown)

    return Hooks(on_request=on_request, on_response=on_response, on_retry=on_retry, on_call_end=on_call_end)
