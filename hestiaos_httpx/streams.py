"""Event streams over httpx: the core says what an event is, the connection ends when the stream does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from hestiaos_httpx.caller import AMBIENT, Caller
from hestiaos_httpx.cancelling import Cancelled, Canceller
from hestiaos_httpx.exchange import AsyncExchange, Exchange
from hestiaos_httpx.loops import close_soon, current_loop
from hestiaos_proto import (
    HestiaError,
    LocalProtocolError,
    Operation,
    RunStream,
    Send,
    StreamEvent,
    TransportError,
    call,
    drive,
    drive_async,
)
from hestiaos_proto.calls import Reply

__all__ = ["AsyncEventStream", "EventStream"]


class _Stream:
    """What both kinds share. The request is sent when the first event is asked for."""

    def __init__(self, caller: Caller, operation: Operation[RunStream], timeout: float | None) -> None:
        self._caller = caller
        self._steps = call(operation, caller.config, AMBIENT, deadline=timeout)
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

    def _check(self) -> None:
        if self._closed:
            raise LocalProtocolError("the stream is closed: start another with run_stream")
        if self._reading:
            raise LocalProtocolError("the stream is being read already: give each reader a stream of its own")
        if self._error is not None:
            raise self._error

    def _is_over(self) -> bool:
        return self._over or (self._machine is not None and self._machine.finished)


class EventStream(_Stream):
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
        super().__init__(caller, operation, timeout)
        self._exchange: Exchange | None = None
        self._canceller = Canceller()
        self._cancel_event = cancel

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> StreamEvent:
        self._check()
        self._reading = True
        try:
            while not self._canceller.is_set():
                for event in self._ready:
                    return event
                if self._is_over():
                    break
                self._receive()
        except Cancelled:
            pass
        except HestiaError as error:
            self._error = error
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
        """End the stream and its connection; from another thread than the reader's, do so by `cancel`."""
        if self._reading:
            self._canceller.cancel()
        else:
            self._closed = True
            self._end()

    def cancel(self) -> None:
        """End the iteration, from any thread, also while it waits for an event."""
        self._canceller.cancel()

    def _receive(self) -> None:
        if self._machine is None:
            if self._cancel_event is not None:
                self._canceller.watch(self._cancel_event)
            self._machine = drive(self._steps, self._send, self._canceller.sleep)
        else:
            assert self._exchange is not None, "a stream has come with an exchange"
            self._over = not self._exchange.receive()
            self._canceller.check()  # what a cancelled read came to is neither an end nor a fault
        self._ready = self._machine.events()

    def _send(self, send: Send) -> Reply:
        try:
            exchange = Exchange.begin(self._caller.pools.sync_client(), send, self._canceller.trace)
            if exchange.response.stream is None:
                return exchange.finish()
            self._exchange = exchange
            self._canceller.attach(exchange.raw.extensions.get("network_stream"))
            return exchange.response
        except TransportError as error:
            self._canceller.check()
            return error

    def _end(self) -> None:
        self._over = True
        self._canceller.stop()
        if self._exchange is not None:
            self._exchange.close()


class AsyncEventStream(_Stream):
    """The events of a run: an asynchronous iterator, and a context manager that ends the connection.

    The connection ends with the stream, with `aclose`, with the `async with` block, with a cancellation, or, as soon
    as the event loop runs, when the object is dropped.
    """

    def __init__(self, caller: Caller, operation: Operation[RunStream], *, timeout: float | None = None) -> None:
        super().__init__(caller, operation, timeout)
        self._exchange: AsyncExchange | None = None
        self._loop: object = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamEvent:
        self._check()
        self._reading = True
        try:
            while True:
                for event in self._ready:
                    return event
                if self._is_over():
                    break
                await self._receive()
        except BaseException as error:  # a cancellation ends the stream too; all is raised again
            self._error = error if isinstance(error, HestiaError) else None
            self._closed = self._error is None
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

    def __del__(self) -> None:
        if self._exchange is not None:
            close_soon(self._loop, self._exchange.aclose)

    async def aclose(self) -> None:
        """End the stream and its connection."""
        self._closed = True
        await self._end()

    async def _receive(self) -> None:
        from anyio import move_on_after, sleep

        if self._machine is None:
            self._machine = await drive_async(self._steps, self._send, sleep)
        else:
            assert self._exchange is not None, "a stream has come with an exchange"
            with move_on_after(self._exchange.response.deadline.left()) as scope:
                self._over = not await self._exchange.receive()
            if scope.cancelled_caught:
                self._over = True
                self._exchange.response.connection_lost(self._exchange.response.deadline.passed())
        self._ready = self._machine.events()

    async def _send(self, send: Send) -> Reply:
        from anyio import move_on_after

        try:
            with move_on_after(send.deadline.left()):
                exchange = await AsyncExchange.begin(await self._caller.pools.async_client(), send)
                if exchange.response.stream is None:
                    return await exchange.finish()
                self._exchange, self._loop = exchange, current_loop()
                return exchange.response
        except TransportError as error:
            return error
        raise send.deadline.passed()

    async def _end(self) -> None:
        self._over = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            await exchange.aclose()
