"""Event streams over httpx: the core says what an event is, the connection ends when the stream does."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx

from hestiaos_httpx.caller import RUNTIME, Caller
from hestiaos_httpx.cancelling import Cancelled, Canceller
from hestiaos_httpx.exchange import AsyncExchange, Exchange
from hestiaos_httpx.lines import Line
from hestiaos_httpx.loops import close_soon, current_loop
from hestiaos_proto import (
    Operation,
    RunStream,
    Send,
    TransportError,
    call_flow,
    run_flow,
    run_flow_async,
)
from hestiaos_proto.calls import Reply
from hestiaos_proto.event_streams import AsyncEventStreamBase, EventStreamBase

if TYPE_CHECKING:
    from anyio import CancelScope

__all__ = ["AsyncEventStream", "EventStream"]


class EventStream(EventStreamBase):
    """The events of a run: an iterator, and a context manager that ends the connection.

    The connection ends with the stream, with `close`, with the `with` block, or when the object is dropped. `cancel`
    does it from any thread, and lets an iteration that waits for an event end at once and without an error.
    """

    def __init__(
        self,
        caller: Caller,
        operation: Operation[RunStream],
        *,
        timeout: float | None = None,
        cancel: threading.Event | None = None,
    ) -> None:
        super().__init__()
        self._caller = caller
        self._steps = call_flow(operation, caller.config, RUNTIME, deadline=timeout)
        self._line: Line[httpx.Client] | None = None
        self._exchange: Exchange | None = None
        self._canceller = Canceller()
        self._cancel_event = cancel

    def close(self) -> None:
        """End the stream and its connection; from another thread than the reader's, do so by `cancel`."""
        if self._reading:
            self._canceller.cancel()
        else:
            super().close()

    def cancel(self) -> None:
        """End the iteration, from any thread, also while it waits for an event."""
        self._canceller.cancel()

    @property
    def _cancelled(self) -> bool:
        return self._canceller.cancelled

    def _receive(self) -> None:
        if self._machine is None:
            with suppress(Cancelled):
                self._machine = run_flow(self._steps, self._send, self._canceller.sleep)
                self._ready = self._machine.events()
        else:
            assert self._exchange is not None, "a stream has come with an exchange"
            self._over = not self._exchange.receive()
            self._ready = self._machine.events()

    def _send(self, send: Send) -> Reply:
        self._canceller.watch(self._cancel_event, send.deadline)
        if self._closed:  # by another thread, before this one was seen to read
            raise self._refusal()
        self._caller.pools.check_open()  # the line is kept from one repeat to the next
        try:
            self._line = line = self._line or self._caller.pools.take_line(send)
            self._canceller.attach(line.network)
            self._exchange = exchange = Exchange.begin(line, send, self._canceller.trace)
            self._canceller.attach(line.network)
            if exchange.response.stream is None:
                exchange.finish()
                self._canceller.check()  # or what a cancellation has left of the body would be taken for the answer
            return exchange.response
        except TransportError as error:
            self._canceller.check()
            return error

    def _end(self) -> None:
        self._over = True
        self._canceller.stop()
        if self._exchange is not None:
            self._exchange.close()
        line, self._line = self._line, None
        if line is not None:
            self._caller.pools.give_back(line)


class AsyncEventStream(AsyncEventStreamBase):
    """The events of a run: an asynchronous iterator, and a context manager that ends the connection.

    The connection ends with the stream, with `aclose`, with the `async with` block, with a cancellation, or, as soon
    as the event loop runs, when the object is dropped.
    """

    def __init__(self, caller: Caller, operation: Operation[RunStream], *, timeout: float | None = None) -> None:
        super().__init__()
        self._caller = caller
        self._steps = call_flow(operation, caller.config, RUNTIME, deadline=timeout)
        self._exchange: AsyncExchange | None = None
        self._loop: object = None
        self._scope: CancelScope | None = None  # around all that comes before the head

    def __del__(self) -> None:
        if self._exchange is not None:
            close_soon(self._loop, self._exchange.aclose)

    async def _receive(self) -> None:
        if self._machine is None:
            from anyio import CancelScope, sleep

            with CancelScope() as self._scope:
                self._machine = await run_flow_async(self._steps, self._send, sleep)
            if self._machine is None:  # another task has closed the stream meanwhile
                raise self._refusal()
        else:
            assert self._exchange is not None, "a stream has come with an exchange"
            self._over = not await self._exchange.receive()
        self._ready = self._machine.events()

    async def _send(self, send: Send) -> Reply:
        from anyio import move_on_after

        try:
            with move_on_after(send.deadline.left()):
                exchange = await AsyncExchange.begin(await self._caller.pools.async_lines(), send)
                if exchange.response.stream is None:
                    return await exchange.finish()
                self._exchange, self._loop = exchange, current_loop()
                return exchange.response
        except TransportError as error:
            return error
        raise send.deadline.expired_error()

    async def _end(self) -> None:
        self._over = True
        if self._scope is not None:
            self._scope.cancel()  # which does nothing once the head is there
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.aclose()
