"""Hooks and logging: functions of the user, and a logger, that observe a call while it runs.

A client takes `hooks=Hooks(…)`, and so does each of its methods, for that call. With every binding the order is: for
each attempt `on_request`, then `on_response` if a response came, and between two attempts `on_retry`; `on_stream_event`
for each event of a stream; `on_call_end` last and once.

An exception that a hook raises ends the call, which raises it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Any, Protocol

from attrs import define, field, frozen

from hestiaos_proto._arguments import type_name
from hestiaos_proto._client_messages import Request, ResponseInfo
from hestiaos_proto._errors import HestiaError
from hestiaos_proto._events import StreamEvent
from hestiaos_proto._redaction import Redactor

__all__ = ["LOG_LEVEL", "CallInfo", "CallObserver", "Hooks", "Logger", "RequestInfo", "ResponseInfo", "hooks_of"]

_DEBUG, _INFO = 10, 20  # the levels of the standard library's logging

LOG_LEVEL = _INFO
"""The highest level at which a call logs anything."""

_COROUTINE = 0x80  # inspect.CO_COROUTINE


@define(eq=False)
class CallInfo:
    """One call, the same object for each of its hooks.

    `operation` is its name (`"run_stream"`), `attempt` counts its repeats from 0, `seconds` is the time from its first
    hook to the latest. `state` is the hooks' own: a tracer keeps its span there.
    """

    operation: str
    attempt: int = 0
    seconds: float = 0.0
    state: dict[str, Any] = field(factory=dict, repr=False)


@frozen
class RequestInfo:
    """A request that is about to be sent. The API key and secrets are redacted; the body is not shown."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body_size: int

    @classmethod
    def of(cls, request: Request, redactor: Redactor) -> RequestInfo:
        """Create the information about a request for hooks."""
        headers = {name: redactor.text(value) for name, value in request.headers.items()}
        return cls(request.method, redactor.text(request.url), headers, len(request.body))


def _function(instance: Hooks, attribute: Any, hook: object) -> None:
    if not (hook is None or callable(hook)):
        raise TypeError(f"{attribute.name} must be a function or None, not {type_name(hook)}")
    if getattr(getattr(hook, "__code__", None), "co_flags", 0) & _COROUTINE:  # it would not be awaited
        raise TypeError(f"{attribute.name} must be a plain function, not a coroutine function")


@frozen(eq=False, kw_only=True)
class Hooks:
    """Functions to be called while a call runs. They are plain functions, on asynchronous clients too.

    - `on_request(call, request)`: a request is about to be sent, the first or a repeat.
    - `on_response(call, response)`: a response has come, a refusal too; of a stream its status and headers.
    - `on_retry(call, error, wait)`: the call will be repeated `wait` seconds after this error.
    - `on_stream_event(call, event)`: an event of a stream is about to be returned.
    - `on_call_end(call, error)`: the call has ended; `error` is the exception that it raises, even a cancellation, or
      `None`. A stream's call ends with the stream.

    Raises `TypeError` for what is not a plain function.
    """

    on_request: Callable[[CallInfo, RequestInfo], object] | None = field(default=None, validator=_function)
    on_response: Callable[[CallInfo, ResponseInfo], object] | None = field(default=None, validator=_function)
    on_retry: Callable[[CallInfo, HestiaError, float], object] | None = field(default=None, validator=_function)
    on_stream_event: Callable[[CallInfo, StreamEvent], object] | None = field(default=None, validator=_function)
    on_call_end: Callable[[CallInfo, BaseException | None], object] | None = field(default=None, validator=_function)


def hooks_of(hooks: Hooks | None) -> tuple[Hooks, ...]:
    """Return the `hooks` of a client or a method as a tuple. Raises `TypeError` for an argument of another type."""
    if not isinstance(hooks, (Hooks, NoneType)):
        raise TypeError(f"hooks must be a Hooks or None, not {type_name(hooks)}")
    return () if hooks is None else (hooks,)


class Logger(Protocol):
    """The methods of `logging.Logger` that are used here."""

    def isEnabledFor(self, level: int, /) -> bool: ...  # noqa: N802  # the standard library's name

    def log(self, level: int, message: str, /, *args: object) -> None: ...


class CallObserver:
    """Calls the hooks and the logger for one call. After the first `end` it does nothing."""

    def __init__(
        self, operation: str, hooks: Iterable[Hooks], logger: Logger | None, clock: Callable[[], float]
    ) -> None:
        self.call: CallInfo = CallInfo(operation)
        self._hooks = tuple(hooks)
        if logger is not None and logger.isEnabledFor(LOG_LEVEL):
            self._hooks += (_log_to(logger),)
        self._clock = clock
        self._began: float | None = None
        self._open = [True]

    def has_hook(self, name: str) -> bool:
        """Return whether any hook of this name is set."""
        return any(getattr(each, name) is not None for each in self._hooks)

    def request(self, request: Request, redactor: Redactor) -> None:
        """Report a request that is about to be sent."""
        if self.has_hook("on_request"):
            self._tell("on_request", RequestInfo.of(request, redactor))

    def response(self, response: ResponseInfo) -> None:
        """Report a response that has arrived."""
        self._tell("on_response", response)

    def retry(self, error: HestiaError, wait: float) -> None:
        """Report that the call will be repeated."""
        self._tell("on_retry", error, wait)
        self.call.attempt += 1

    def event(self, event: StreamEvent) -> None:
        """Report an event that is about to be returned."""
        self._tell("on_stream_event", event)

    def end(self, error: BaseException | None) -> None:
        """Report the end of the call."""
        try:
            self._open.pop()  # atomic: of two threads that end a stream one continues
        except IndexError:
            return
        self._update_seconds()
        self._tell_end(self._hooks, error)

    def _tell(self, name: str, *what: object) -> None:
        if not self._open:  # another thread has closed the stream
            return
        self._update_seconds()
        for each in self._hooks:
            if (hook := getattr(each, name)) is not None:
                hook(self.call, *what)

    def _tell_end(self, hooks: tuple[Hooks, ...], error: BaseException | None) -> None:
        if not hooks:
            return
        try:
            if (hook := hooks[0].on_call_end) is not None:
                hook(self.call, error)
        finally:  # the other hooks are called even if this one raises
            self._tell_end(hooks[1:], error)

    def _update_seconds(self) -> None:
        now = self._clock()
        if self._began is None:
            self._began = now
        self.call.seconds = now - self._began


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

    if not logger.isEnabledFor(_DEBUG):
        return Hooks(on_retry=on_retry, on_call_end=on_call_end)
    return Hooks(on_request=on_request, on_response=on_response, on_retry=on_retry, on_call_end=on_call_end)
