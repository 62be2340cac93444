"""Event streams over httpx: the core says what an event is, the connection ends when the stream does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hestiaos_httpx._exchange import Exchange
from hestiaos_httpx._executor import Executor
from hestiaos_httpx._guard import sleep
from hestiaos_httpx._loops import current_loop, spawn_in
from hestiaos_httpx._steps import run, run_async
from hestiaos_proto import AsyncEventStreamBase, EventStreamBase, Operation, Response, RunStream, Send, StreamOptions

if TYPE_CHECKING:
    from anyio import CancelScope

__all__ = ["AsyncEventStream", "EventStream"]


class EventStream(EventStreamBase):
    """The events of a run: an iterator, and a context manager that ends the connection.

    The connection ends with the stream, with `close`, with the `with` block, or when the object is dropped. `cancel`
    does it from any thread, and lets an iteration that waits for an event end at once and without an error.
    """

    _current: Exchange | None = None

    def __init__(
        self,
        executor: Executor,
        operation: Operation[RunStream],
        timeout: float | None,
        cancel: threading.Event | None,
        options: StreamOptions,
    ) -> None:
        super().__init__(executor.context, operation, timeout, options)
        self._http_clients = executor.http_clients
        self._cancel_event = cancel
        self._cancel_asked = False

    def close(self) -> None:
        """End the stream and its connection; from another thread than the reader's, do so by `cancel`."""
        if self._reading:
            self.cancel()
        else:
            super().close()

    def cancel(self) -> None:
        """End the iteration, from any thread, whatever it waits for."""
        self._cancel_asked = True
        if (exchange := self._current) is not None:
            exchange.cancel()

    @property
    def _cancelled(self) -> bool:
        return self._cancel_asked or (self._cancel_event is not None and self._cancel_event.is_set())

    def _exchange(self, send: Send) -> Response:
        self._current = exchange = Exchange(self._http_clients.sync(), send, self._cancel_event)
        if self._cancel_asked:  # before it could be reached
            exchange.cancel()
        return run(exchange.begin())

    def _read(self, machine: RunStream, timeout: float) -> None:
        exchange, response = self._current, self._response
        assert exchange is not None, "a stream has come with an exchange"
        assert response is not None, "and with a response"
        exchange.guard.read_timeout = timeout
        self._over = not run(exchange.receive(response))

    def _sleep(self, seconds: float) -> None:
        sleep(seconds, lambda: self._cancelled or self._http_clients.closed)

    def _end(self) -> None:
        exchange, self._current = self._current, None
        if exchange is not None:
            run(exchange.close() if self._is_complete() else exchange.abort())


class AsyncEventStream(AsyncEventStreamBase):
    """The events of a run: an asynchronous iterator, and a context manager that ends the connection.

    The connection ends with the stream, with `aclose`, with the `async with` block, with a cancellation, or, as soon
    as the event loop runs, when the object is dropped.
    """

    _current: Exchange | None = None

    def __init__(
        self, executor: Executor, operation: Operation[RunStream], timeout: float | None, options: StreamOptions
    ) -> None:
        super().__init__(executor.context, operation, timeout, options)
        self._http_clients = executor.http_clients
        self._loop: object = None
        self._scope: CancelScope | None = None  # around all that comes before the head

    def __del__(self) -> None:
        exchange = self._current
        if exchange is not None and not (
            exchange.is_ours() and spawn_in(self._loop, lambda: run_async(exchange.abort()))
        ):
            exchange.guard.scope = None  # its event loop has ended
            exchange.abandon()
        super().__del__()

    async def _receive(self) -> None:
        if self._machine is not None:
            await super()._receive()
            return
        from anyio import CancelScope

        with CancelScope() as self._scope:
            await super()._receive()
        if self._machine is None:  # another task has closed the stream meanwhile
            raise self._refusal()

    async def _exchange(self, send: Send) -> Response:
        self._loop = current_loop()
        exchange = Exchange(self._http_clients.asynchronous(), send)
        response = await run_async(exchange.begin())
        if response.stream is not None:
            self._current = exchange
        return response

    async def _read(self, machine: RunStream, timeout: float) -> None:  # noqa: ASYNC109  # the network times it
        exchange, response = self._current, self._response
        assert exchange is not None, "a stream has come with an exchange"
        assert response is not None, "and with a response"
        exchange.guard.read_timeout = timeout
        self._over = not await run_async(exchange.receive(response))

    async def _sleep(self, seconds: float) -> None:
        from anyio import sleep

        await sleep(seconds)

    async def _end(self) -> None:
        if self._scope is not None:
            self._scope.cancel()  # which does nothing once the head is there
        exchange, self._current = self._current, None
        if exchange is not None:
            await run_async(exchange.close() if self._is_complete() else exchange.abort())
