"""Carries out the calls and streams of the core over httpx."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from hestiaos_httpx._scopes import run, sleep
from hestiaos_proto import (
    AsyncEventStreamBase,
    CallContext,
    CallFlow,
    CallOptions,
    EventStreamBase,
    Operation,
    Response,
    RunStream,
    Send,
    StreamOptions,
    run_flow,
    run_flow_async,
)

if TYPE_CHECKING:
    from anyio import CancelScope

    from hestiaos_httpx._exchange import Exchange
    from hestiaos_httpx._http_clients import HttpClients

__all__ = ["AsyncEventStream", "EventStream", "Executor"]

T = TypeVar("T")


class Executor:
    """Carries out operations, in a thread or in a task."""

    def __init__(self, context: CallContext, http_clients: HttpClients) -> None:
        self.context = context
        self.http_clients = http_clients

    def __repr__(self) -> str:
        return f"Executor({self.context.config.base_url!r})"

    def execute(self, operation: Operation[T], options: CallOptions) -> T:
        """Execute an operation. Raises `HestiaError`."""
        flow, _ = self.context.begin(operation, options)
        return run_flow(flow, self._send, lambda seconds: sleep(seconds, lambda: self.http_clients.closed))

    async def execute_async(self, operation: Operation[T], options: CallOptions) -> T:
        """Execute an operation. Raises `HestiaError`."""
        from anyio import sleep as sleep_async

        flow, _ = self.context.begin(operation, options)
        return await run_flow_async(flow, self._send_async, sleep_async)

    def _send(self, send: Send) -> Response:
        return run(self.http_clients.for_threads().exchange(send).begin())

    async def _send_async(self, send: Send) -> Response:
        exchange = self.http_clients.for_tasks().exchange(send)
        result: Response = await exchange.scope.run(exchange.begin())
        return result


class EventStream(EventStreamBase):
    """The events of a run: an iterator, and a context manager that ends the connection.

    The connection is closed at the end of the stream, by `close`, by leaving the `with` block, and when the object is
    garbage-collected. `cancel` closes it from any thread, and ends an iteration that waits for an event at once and
    without an error. Iterating raises what `run_stream` says.
    """

    _current: Exchange[Response] | None = None

    def __init__(
        self,
        executor: Executor,
        operation: Operation[RunStream],
        timeout: float | None,
        cancel: threading.Event | None,
        options: StreamOptions,
    ) -> None:
        if cancel is not None and (isinstance(cancel, type) or not hasattr(cancel, "is_set")):
            raise TypeError(f"cancel must be a threading.Event or None, not {type(cancel).__name__}")
        super().__init__(executor.context, operation, timeout, options)
        self._http_clients = executor.http_clients
        self._cancel_event = cancel
        self._cancel_asked = False

    def close(self) -> None:
        """End the stream and its connection; from another thread than the reader's it does what `cancel` does."""
        if self._reading:
            self.cancel()
        else:
            super().close()

    def cancel(self) -> None:
        """End the iteration, from any thread, while it waits too."""
        self._cancel_asked = True
        if (exchange := self._current) is not None:
            exchange.cancel()

    @property
    def _cancelled(self) -> bool:
        return self._cancel_asked or (self._cancel_event is not None and self._cancel_event.is_set())

    def _exchange(self, send: Send) -> Response:
        self._current = exchange = self._http_clients.for_threads().exchange(send, self._cancel_event)
        if self._cancel_asked:  # before the exchange existed
            exchange.cancel()
        return run(exchange.begin())

    def _read(self, machine: RunStream, timeout: float) -> None:
        exchange = self._current
        assert exchange is not None, "the stream has arrived in an exchange"
        self._over = not run(exchange.receive(timeout))

    def _sleep(self, seconds: float) -> None:
        sleep(seconds, lambda: self._cancelled or self._http_clients.closed)

    def _end(self) -> None:
        exchange, self._current = self._current, None
        if exchange is not None:
            run(exchange.close())


class AsyncEventStream(AsyncEventStreamBase):
    """The events of a run: an asynchronous iterator, and a context manager that ends the connection.

    The connection is closed at the end of the stream, by `aclose`, by leaving the `async with` block, by a
    cancellation, and, as soon as the event loop runs, when the object is garbage-collected. Iterating raises what
    `run_stream` says.
    """

    _current: Exchange[Response] | None = None

    def __init__(
        self, executor: Executor, operation: Operation[RunStream], timeout: float | None, options: StreamOptions
    ) -> None:
        super().__init__(executor.context, operation, timeout, options)
        self._http_clients = executor.http_clients
        self._scope: CancelScope | None = None  # around everything before the head

    def __del__(self) -> None:
        if (exchange := self._current) is not None:
            exchange.http.drop(exchange)
        super().__del__()

    async def _open(self, flow: CallFlow[RunStream]) -> RunStream:
        from anyio import CancelScope

        with CancelScope() as self._scope:
            return await super()._open(flow)
        raise self._refusal()  # another task has closed the stream meanwhile

    async def _exchange(self, send: Send) -> Response:
        exchange = self._http_clients.for_tasks().exchange(send)
        response: Response = await exchange.scope.run(exchange.begin())
        if response.stream is not None:
            self._current = exchange
        return response

    async def _read(self, machine: RunStream, timeout: float) -> None:  # noqa: ASYNC109  # the network times it
        exchange = self._current
        assert exchange is not None, "the stream has arrived in an exchange"
        self._over = not await exchange.scope.run(exchange.receive(timeout))

    async def _sleep(self, seconds: float) -> None:
        from anyio import sleep

        await sleep(seconds)

    async def _end(self) -> None:
        if self._scope is not None:
            self._scope.cancel()  # no effect after the head has arrived
        exchange, self._current = self._current, None
        if exchange is not None:
            await exchange.scope.run(exchange.close())
