"""Event streams over trio: the core says what an event is, the connection ends when the stream does."""

from __future__ import annotations

from contextlib import suppress

import trio

from hestiaos_proto import Operation, Response, RunStream, Send, TransportError, call, drive_async
from hestiaos_proto.calls import Reply
from hestiaos_proto.readers import AsyncStreamReader
from hestiaos_trio.caller import AMBIENT, Caller, check_trio
from hestiaos_trio.connection import Connection

__all__ = ["TrioEventStream"]


class TrioEventStream(AsyncStreamReader):
    """The events of a run: an asynchronous iterator, and a context manager that ends the connection.

    The connection ends with the stream, with `aclose`, with the `async with` block, with a cancellation, or when the
    object is dropped.
    """

    def __init__(self, caller: Caller, operation: Operation[RunStream], *, timeout: float | None = None) -> None:
        super().__init__()
        self._pool = caller.pool
        self._steps = call(operation, caller.config, AMBIENT, deadline=timeout)
        self._held: tuple[Connection, Send, trio.lowlevel.TrioToken] | None = None

    def __del__(self) -> None:
        if self._held is not None:
            connection, _, trio_run = self._held
            connection.close()
            with suppress(trio.RunFinishedError):  # then the pool counts no more
                trio_run.run_sync_soon(self._pool.release, connection)

    async def _receive(self) -> None:
        if self._machine is None:
            check_trio()
            self._machine = await drive_async(self._steps, self._send, trio.sleep)
        else:
            assert self._held is not None, "a stream has come over a connection"
            connection, send, _ = self._held
            await connection.receive(send)
            self._over = connection.machine.finished
        self._ready = self._machine.events()

    async def _send(self, send: Send) -> Reply:
        try:
            connection = await self._pool.acquire(send)
        except TransportError as error:
            return error
        self._held = connection, send, trio.lowlevel.current_trio_token()
        await connection.begin(send)
        reply = connection.machine.reply
        if isinstance(reply, Response) and reply.stream is not None:
            return reply
        reply = await connection.finish(send)
        self._release()
        return reply

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._pool.release(held[0])

    async def _end(self) -> None:
        self._over = True
        self._release()
