"""The state of a stream that is read: its place, its failure, and the time that a read may take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hestiaos_proto._arguments import seconds
from hestiaos_proto._call_options import StreamOptions
from hestiaos_proto._calls import CallContext
from hestiaos_proto._client_messages import Response, ResponseInfo
from hestiaos_proto._deadline import Deadline
from hestiaos_proto._errors import HestiaError, LocalProtocolError
from hestiaos_proto._events import StreamEvent
from hestiaos_proto._hooks import CallObserver
from hestiaos_proto._steps import CallFlow, Send
from hestiaos_proto._stream import RunStream
from hestiaos_proto._tracebacks import shorten
from hestiaos_proto.operations import Operation

__all__ = ["EventStreamState"]

_AFTER_DONE = 1.0  # seconds that a server has to end the response once it has sent `done`


class EventStreamState:
    """The state of a stream that is read. Its request is sent at the first iteration.

    `timeout` bounds the whole stream, in seconds, and so does the option `deadline`. Raises `ValueError` or `TypeError`
    for arguments that are wrong.
    """

    # Class attributes, because `__del__` and `__repr__` are called also if the constructor has raised.
    _send: Send | None = None
    _observer: CallObserver | None = None
    _base_url = ""
    _machine: RunStream | None = None
    _over = False  # nothing more will arrive
    _error: HestiaError | None = None
    _closed = False

    def __init__(
        self, context: CallContext, operation: Operation[RunStream], timeout: float | None, options: StreamOptions
    ) -> None:
        bounds = [seconds("timeout", timeout), seconds("deadline", options.get("deadline"))]
        deadline = min((bound for bound in bounds if bound is not None), default=None)
        self._call = context.call(operation, {**options, "deadline": deadline})
        self._flow: CallFlow[RunStream] | None = self._call.flow()  # until the head of its response has arrived
        self._observer = self._call.observer
        observed = self._observer is not None and self._observer.has_hook("on_stream_event")
        self._event_observer = self._observer if observed else None
        self._base_url = context.config.base_url
        self._monotonic = context.runtime.monotonic
        self._response: Response | None = None
        self._ready: Iterator[StreamEvent] = iter(())  # decoded, and not returned yet
        self._after_done: Deadline | None = None
        self._reading = False

    def __del__(self) -> None:
        self._tell_end()

    def __repr__(self) -> str:
        received = 0 if self._machine is None else self._machine.events_received
        state = "closed" if self._closed else "failed" if self._error else "over" if self._is_over() else "open"
        return f"<{type(self).__name__} {self._base_url} {state}, {received} events>"

    @property
    def text(self) -> str:
        """The text of the `token` and `delta` events so far."""
        return "" if self._machine is None else self._machine.text

    @property
    def final(self) -> dict[str, Any] | None:
        """The `final` event's data, `None` before it."""
        return None if self._machine is None else self._machine.final

    @property
    def response(self) -> ResponseInfo | None:
        """The response's status, headers and request id, `None` before they have arrived."""
        return None if self._response is None else self._response.info

    def _read_timeout(self, machine: RunStream) -> float:
        """Return the time that the next read may take, in seconds."""
        assert self._send is not None, "a stream is read after its request"
        timeout = self._send.deadline.bound(self._send.read_timeout)
        if not machine.done:
            return timeout
        if self._after_done is None:
            self._after_done = Deadline(self._monotonic, _AFTER_DONE)
        return self._after_done.bound(timeout)

    def _refusal(self) -> HestiaError:
        if self._closed:
            return LocalProtocolError("the stream is closed: start another")
        # The thread that was reading may have finished by now; the other one is refused anyway.
        if self._error is not None and not self._reading:
            return self._error.with_traceback(None)  # otherwise the traceback grows each time it is raised
        return LocalProtocolError("the stream is being read already: open a separate stream for each reader")

    def _fail(self, error: BaseException) -> None:
        """Remember why iteration failed.

        A `HestiaError` is raised again on every later call; any other exception closes the stream.
        """
        if isinstance(error, HestiaError):
            self._error = shorten(error)
            error.response = error.response or self.response
        else:
            self._closed = True

    def _opened(self) -> RunStream:
        assert self._machine is not None, "events are received after the head of the response"
        return self._machine

    def _reconnect(self, flow: CallFlow[RunStream]) -> None:
        """Let `flow` open another connection after one was lost."""
        self._flow = flow
        self._ready = iter(())
        self._over = False

    def _is_over(self) -> bool:
        return self._over or (self._machine is not None and self._machine.finished)

    def _tell_end(self, error: BaseException | None = None) -> None:
        if self._observer is not None:
            self._observer.end(error)
