"""The streams that callers iterate over, with one reader at a time, without their I/O.

A binding adds the I/O: `_exchange`, `_read`, `_sleep` and `_end`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from hestiaos_proto._arguments import seconds
from hestiaos_proto._calls import CallContext, Send, StreamOptions, run_flow, run_flow_async
from hestiaos_proto._client_messages import Response, ResponseInfo
from hestiaos_proto._deadline import Deadline
from hestiaos_proto._errors import HestiaError, LocalProtocolError
from hestiaos_proto._events import StreamEvent
from hestiaos_proto._hooks import CallObserver
from hestiaos_proto._other_kind import NotAsynchronous, NotSynchronous
from hestiaos_proto._stream import RunStream
from hestiaos_proto._tracebacks import shorten
from hestiaos_proto.operations import Operation

__all__ = ["AsyncEventStreamBase", "EventStreamBase"]

_AFTER_DONE = 1.0  # seconds that a server has to end the response once it has sent `done`


class _EventStream:
    """The state of a stream that is read. Its request is sent when the first event is asked for.

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
        self._flow, self._observer = context.begin(operation, {"timeout": None, **options, "deadline": deadline})
        hears = self._observer is not None and self._observer.hears("on_stream_event")
        self._event_observer = self._observer if hears else None
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
        """How long the next read may take, in seconds."""
        assert self._send is not None, "a stream is read after its request"
        timeout = self._send.deadline.bound(self._send.read_timeout)
        if not machine.done:
            return timeout
        if self._after_done is None:
            self._after_done = Deadline(self._monotonic, _AFTER_DONE)
        return self._after_done.bound(timeout)

    def _refusal(self) -> HestiaError:
        if self._closed:
            return LocalProtocolError("the stream is closed: start another with run_stream")
        # The thread that was reading may have finished by now; the other one is refused all the same.
        if self._error is not None and not self._reading:
            return self._error.with_traceback(None)  # else it would grow each time that it is raised
        return LocalProtocolError("the stream is being read already: give each reader a stream of its own")

    def _fail(self, error: BaseException) -> None:
        """Remember why iteration failed.

        A `HestiaError` is raised again on every later call; any other exception closes the stream.
        """
        if isinstance(error, HestiaError):
            self._error = shorten(error)
            error.response = error.response or self.response
        else:
            self._closed = True

    def _is_complete(self) -> bool:
        """Whether the response was read to its end, and nothing of the stream is missing."""
        return self._over and self._machine is not None and self._machine.done

    def _is_over(self) -> bool:
        return self._over or (self._machine is not None and self._machine.finished)

    def _tell_end(self, error: BaseException | None = None) -> None:
        if self._observer is not None:
            self._observer.end(error)


class EventStreamBase(_EventStream, NotAsynchronous, ABC):
    """An iterator over the events of a run, and a context manager, for threads.

    Iterating raises what `run_stream` says, and the same error again on every later call.
    """

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamEvent:
        if self._reading or self._closed or self._error is not None:
            raise self._refusal()
        self._reading = True
        try:
            while not self._cancelled:  # after a cancel the result of a read does not matter
                for event in self._ready:
                    if self._event_observer is not None:
                        self._event_observer.event(event)
                    return event
                if self._is_over():
                    break
                try:
                    self._receive()
                except HestiaError:
                    if not self._cancelled:
                        raise
        except BaseException as error:  # Ctrl-C ends the stream too
            self._fail(error)
            self._finish(error)
            raise
        finally:
            self._reading = False
        self._finish()
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if self._send is not None:
            self._finish()
        super().__del__()

    def close(self) -> None:
        """End the stream and its connection. A second time does nothing."""
        self._closed = True
        self._finish()

    def _finish(self, error: BaseException | None = None) -> None:
        try:
            self._end()
        finally:
            self._tell_end(error)

    def _receive(self) -> None:
        if self._machine is None:
            self._machine = run_flow(self._flow, self._begin, self._sleep)
        else:
            self._read(self._machine, self._read_timeout(self._machine))
        self._ready = self._machine.events()

    def _begin(self, send: Send) -> Response:
        self._send, self._response = send, None
        if self._cancelled:
            raise LocalProtocolError("the stream was cancelled")
        if self._closed:  # by another thread, before this one began to read
            raise self._refusal()
        self._response = response = self._exchange(send)
        return response

    @property
    @abstractmethod
    def _cancelled(self) -> bool:
        """Whether another thread has asked for the end of the iteration, which then ends without an error."""

    @abstractmethod
    def _exchange(self, send: Send) -> Response:
        """As `AsyncEventStreamBase._exchange`."""

    @abstractmethod
    def _read(self, machine: RunStream, timeout: float) -> None:
        """As `AsyncEventStreamBase._read`."""

    @abstractmethod
    def _sleep(self, seconds: float) -> None:
        """Let `seconds` pass, or fewer if the stream is cancelled."""

    @abstractmethod
    def _end(self) -> None:
        """As `AsyncEventStreamBase._end`."""


class AsyncEventStreamBase(_EventStream, NotSynchronous, ABC):
    """An asynchronous iterator over the events of a run, and a context manager, for any event loop.

    Iterating raises what `run_stream` says, and the same error again on every later call.
    """

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._reading or self._closed or self._error is not None:
            raise self._refusal()
        self._reading = True
        try:
            while True:
                for event in self._ready:
                    if self._event_observer is not None:
                        self._event_observer.event(event)
                    return event
                if self._is_over():
                    break
                try:
                    await self._receive()
                except HestiaError:
                    if not self._closed:
                        raise
                if self._closed:  # by another task, which also made the read fail or end
                    raise self._refusal()
        except BaseException as error:  # a cancellation ends the stream too
            self._fail(error)
            await self._finish(error)
            raise
        finally:
            self._reading = False
        await self._finish()
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream and its connection. A second time does nothing."""
        self._closed = True
        await self._finish()

    async def _finish(self, error: BaseException | None = None) -> None:
        try:
            await self._end()
        finally:
            self._tell_end(error)

    async def _open(self) -> RunStream:
        """Send the request and wait for the head of its response."""
        return await run_flow_async(self._flow, self._begin, self._sleep)

    async def _receive(self) -> None:
        if self._machine is None:
            self._machine = await self._open()
        else:
            await self._read(self._machine, self._read_timeout(self._machine))
        self._ready = self._machine.events()

    async def _begin(self, send: Send) -> Response:
        self._send, self._response = send, None
        if self._closed:  # by another task, before this repeat
            raise self._refusal()
        self._response = response = await self._exchange(send)
        return response

    @abstractmethod
    async def _exchange(self, send: Send) -> Response:
        """Send a request and wait for the whole response, or for the head of an event stream."""

    @abstractmethod
    async def _read(self, machine: RunStream, timeout: float) -> None:  # noqa: ASYNC109  # it is the binding that times
        """Feed `machine` what arrives next, or the fault that came instead; set `_over` at the end of the response.

        It may take `timeout` seconds.
        """

    @abstractmethod
    async def _sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""

    @abstractmethod
    async def _end(self) -> None:
        """Close the connection, or release it to its pool. It may be called again."""
