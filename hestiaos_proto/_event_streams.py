"""The streams that callers iterate over, with one reader at a time, without their I/O.

A binding adds the I/O: `_exchange`, `_read`, `_sleep` and `_end`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from hestiaos_proto._calls import run_flow, run_flow_async
from hestiaos_proto._client_messages import Response
from hestiaos_proto._errors import HestiaError, LocalProtocolError
from hestiaos_proto._event_stream_state import EventStreamState
from hestiaos_proto._events import StreamEvent
from hestiaos_proto._other_kind import NotAsynchronous, NotSynchronous
from hestiaos_proto._steps import CallFlow, LocalResponse, Send
from hestiaos_proto._stream import RunStream

__all__ = ["AsyncEventStreamBase", "EventStreamBase"]


class EventStreamBase(EventStreamState, NotAsynchronous, ABC):
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
                try:
                    for event in self._ready:
                        if self._event_observer is not None:
                            self._event_observer.event(event)
                        return event
                    if self._is_over():
                        break
                    self._receive()
                except HestiaError as error:
                    if not self._cancelled:
                        self._resume(error)
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
        if (flow := self._flow) is not None:
            machine = run_flow(flow, self._begin, self._sleep)
            self._machine, self._flow = machine, None
        elif isinstance(self._response, LocalResponse):
            machine = self._opened()
            self._sleep(self._response.wait)
            self._over = not self._response.receive_next()
        else:
            machine = self._opened()
            self._read(machine, self._read_timeout(machine))
        self._ready = machine.events()

    def _resume(self, error: HestiaError) -> None:
        flow = self._call.resume(error)
        self._end()
        self._reconnect(flow)

    def _begin(self, send: Send) -> Response:
        self._send, self._response = send, None
        if self._cancelled:
            raise LocalProtocolError("the stream was cancelled")
        if self._closed:  # by another thread, before this one began to read
            raise self._refusal()
        self._response = response = self._exchange(send) if send.answer is None else send.answer
        return response

    @property
    @abstractmethod
    def _cancelled(self) -> bool:
        """Whether another thread has asked for the end of the iteration, which then ends without an error."""

    @abstractmethod
    def _exchange(self, send: Send) -> Response:
        """See `AsyncEventStreamBase._exchange`."""

    @abstractmethod
    def _read(self, machine: RunStream, timeout: float) -> None:
        """See `AsyncEventStreamBase._read`."""

    @abstractmethod
    def _sleep(self, seconds: float) -> None:
        """Let `seconds` pass, or fewer if the stream is cancelled."""

    @abstractmethod
    def _end(self) -> None:
        """See `AsyncEventStreamBase._end`."""


class AsyncEventStreamBase(EventStreamState, NotSynchronous, ABC):
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
                try:
                    for event in self._ready:
                        if self._event_observer is not None:
                            self._event_observer.event(event)
                        return event
                    if self._is_over():
                        break
                    await self._receive()
                except HestiaError as error:
                    if not self._closed:
                        await self._resume(error)
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

    async def _open(self, flow: CallFlow[RunStream]) -> RunStream:
        """Send the request and wait for the head of its response."""
        return await run_flow_async(flow, self._begin, self._sleep)

    async def _receive(self) -> None:
        if (flow := self._flow) is not None:
            machine = await self._open(flow)
            self._machine, self._flow = machine, None
        elif isinstance(self._response, LocalResponse):
            machine = self._opened()
            await self._sleep(self._response.wait)
            self._over = not self._response.receive_next()
        else:
            machine = self._opened()
            await self._read(machine, self._read_timeout(machine))
        self._ready = machine.events()

    async def _resume(self, error: HestiaError) -> None:
        flow = self._call.resume(error)
        await self._end()
        self._reconnect(flow)

    async def _begin(self, send: Send) -> Response:
        self._send, self._response = send, None
        if self._closed:  # by another task, before this repeat
            raise self._refusal()
        self._response = response = await self._exchange(send) if send.answer is None else send.answer
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
