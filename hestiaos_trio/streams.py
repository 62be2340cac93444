"""Event streams over trio: the core says what an event is, the connection ends when the stream does."""

from __future__ import annotations

from contextlib import suppress

import trio
from attrs import frozen

from hestiaos_proto import Operation, Response, RunStream, Send, TransportError, call_flow, run_flow_async
from hestiaos_proto.calls import Reply
from hestiaos_proto.event_streams import AsyncEventStreamBase
from hestiaos_trio.caller import RUNTIME, Caller
from hestiaos_trio.connection import Connection
from hestiaos_trio.pool import Pool

__all__ = ["TrioEventStream"]


@frozen
class _Hold:
    """The connection that a stream comes over, and where to give it back."""

    connection: Connection
    send: Send
    pool: Pool
    run: trio.lowlevel.TrioToken


class TrioEventStream(AsyncEventStreamBase):
    """The events of a run: an asynchronous iterator, and a context manager that ends the connection.

    The connection ends with the stream, with `aclose`, with the `async with` block, with a cancellation, or, as soon
    as trio runs, when the object is dropped.
    """

    def __init__(self, caller: Caller, operation: Operation[RunStream], *, timeout: float | None = None) -> None:
        super().__init__()
        self._pools = caller.pools
        self._steps = call_flow(operation, caller.config, RUNTIME, deadline=timeout)
        self._hold: _Hold | None = None

    def __del__(self) -> None:
        if self._hold is not None:
            with suppress(trio.RunFinishedError):  # the run has closed its connections when it ended
                # A finalizer may run in any thread.
                self._hold.run.run_sync_soon(self._hold.pool.release, self._hold.connection)

    async def _receive(self) -> None:
        if self._machine is None:
            self._machine = await run_flow_async(self._steps, self._send, trio.sleep)
        else:
            hold = self._hold  # another task may close the stream meanwhile
            assert hold is not None, "a stream has come over a connection"
            await hold.connection.receive(hold.send)
            self._over = hold.connection.machine.finished
        self._ready = self._machine.events()

    async def _send(self, send: Send) -> Reply:
        if self._closed:  # by another task, before this repeat
            raise self._refusal()
        pool = await self._pools.here()
        try:
            connection = await pool.acquire(send)
        except TransportError as error:
            return error
        if self._closed:  # while this waited
            pool.release(connection)
            raise self._refusal()
        self._hold = _Hold(connection, send, pool, trio.lowlevel.current_trio_token())
        reply = await connection.exchange(send)
        if not (isinstance(reply, Response) and reply.stream is not None):
            self._release()
        return reply

    def _release(self) -> None:
        hold, self._hold = self._hold, None
        if hold is not None:
            hold.pool.release(hold.connection)

    async def _end(self) -> None:
        self._over = True
        self._release()
