"""How a caller reads a stream: one event after another, one reader at a time, and the connection ends with it.

What an adapter adds is where the bytes come from: `_receive` and `_end`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from hestiaos_proto.errors import HestiaError, LocalProtocolError
from hestiaos_proto.events import StreamEvent
from hestiaos_proto.stream import RunStream

__all__ = ["AsyncEventStreamBase", "EventStreamBase"]


class _Reader:
    """What is known of a stream that is being read. Its request is sent when the first event is asked for."""

    def __init__(self) -> None:
        self._machine: RunStream | None = None
        self._ready: Iterator[StreamEvent] = iter(())  # what has arrived and has not been asked for
        self._over = False  # nothing more will arrive
        self._error: HestiaError | None = None
        self._reading = False
        self._closed = False

    @property
    def text(self) -> str:
        """The text of the `token` and `delta` events so far."""
        return "" if self._machine is None else self._machine.text

    @property
    def final(self) -> dict[str, Any] | None:
        """The `final` event's data, `None` before it."""
        return None if self._machine is None else self._machine.final

    def _refusal(self) -> HestiaError:
        if self._closed:
            return LocalProtocolError("the stream is closed: start another with run_stream")
        # Of two threads, the one that was reading may be done by now; the other is refused all the same.
        if self._error is not None and not self._reading:
            return self._error
        return LocalProtocolError("the stream is being read already: give each reader a stream of its own")

    def _fail(self, error: BaseException) -> None:
        """What broke a turn: a fault is raised again at every later turn, all else closes the stream."""
        if isinstance(error, HestiaError):
            self._error = error
        else:
            self._closed = True

    def _is_over(self) -> bool:
        return self._over or (self._machine is not None and self._machine.finished)


class EventStreamBase(_Reader, ABC):
    """An iterator and context manager, for threads."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamEvent:
        if self._reading or self._closed or self._error is not None:
            raise self._refusal()
        self._reading = True
        try:
            while not self._cancelled:  # then what a read came to is neither an end nor a fault
                for event in self._ready:
                    return event
                if self._is_over():
                    break
                self._receive()
        except BaseException as error:  # Ctrl-C ends the stream too; all is raised again
            self._fail(error)
            self._end()
            raise
        finally:
            self._reading = False
        self._end()
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self._end()

    def close(self) -> None:
        """End the stream and its connection."""
        self._closed = True
        self._end()

    @property
    @abstractmethod
    def _cancelled(self) -> bool:
        """Whether another thread wants the iteration to end, which it does without an error."""

    @abstractmethod
    def _receive(self) -> None:
        """As `AsyncEventStreamBase._receive`."""

    @abstractmethod
    def _end(self) -> None:
        """As `AsyncEventStreamBase._end`."""


class AsyncEventStreamBase(_Reader, ABC):
    """An asynchronous iterator and context manager, for any event loop."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._reading or self._closed or self._error is not None:
            raise self._refusal()
        self._reading = True
        try:
            while True:
                for event in self._ready:
                    return event
                if self._is_over():
                    break
                try:
                    await self._receive()
                except HestiaError:
                    if not self._closed:
                        raise
                if self._closed:  # another task did it, and whatever the read came to is due to that
                    raise self._refusal()
        except BaseException as error:  # a cancellation ends the stream too; all is raised again
            self._fail(error)
            await self._end()
            raise
        finally:
            self._reading = False
        await self._end()
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream and its connection."""
        self._closed = True
        await self._end()

    @abstractmethod
    async def _receive(self) -> None:
        """Wait for what comes next, and set `_ready` to the events that it makes; the first time, `_machine` too."""

    @abstractmethod
    async def _end(self) -> None:
        """End the connection, or give it back. It may be called again."""
