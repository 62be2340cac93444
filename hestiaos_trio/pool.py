"""A small pool of kept-alive connections."""

from __future__ import annotations

import ssl

import trio

from hestiaos_proto import Config, LocalProtocolError, Send, TimedOut
from hestiaos_trio.connection import Connection, connect

__all__ = ["Pool"]

_KEPT = 5.0  # how long an idle connection is kept, in seconds; servers mostly close theirs later than that


class Pool:
    """At most `max_connections` at a time; the one that was used last is used first."""

    def __init__(
        self, config: Config, *, ssl_context: ssl.SSLContext | None, uds: str | None, max_connections: int
    ) -> None:
        if max_connections < 1:
            raise ValueError(f"max_connections must be 1 or more, not {max_connections}")
        self._config = config
        self._ssl_context = ssl_context
        self._uds = uds
        self._free = trio.Semaphore(max_connections)
        self._idle: list[Connection] = []
        self._closed = False

    async def acquire(self, send: Send) -> Connection:
        """A connection, to be released in the end. Raises `ConnectFailed`, `TimedOut`."""
        if self._closed:
            raise LocalProtocolError("the client is closed: make a new one")
        with trio.move_on_after(send.deadline.bound(send.timeout)) as scope:
            await self._free.acquire()
        if scope.cancelled_caught:
            raise TimedOut(f"every connection to {send.request.origin} stayed in use for too long", request_sent=False)
        try:
            return self._kept() or await connect(self._config, send, ssl_context=self._ssl_context, uds=self._uds)
        except BaseException:  # a cancellation too; it is raised again
            self._free.release()
            raise

    def release(self, connection: Connection) -> None:
        """Take a connection back; one that was left in the middle of a response is ended. It never waits."""
        if connection.machine.reusable and not self._closed:
            connection.idle_since = trio.current_time()
            self._idle.append(connection)
        else:
            connection.close()
        self._free.release()

    def close(self) -> None:
        """End every idle connection, and each of the others when it is released."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and trio.current_time() - connection.idle_since < _KEPT:
                return connection
            connection.close()
        return None
