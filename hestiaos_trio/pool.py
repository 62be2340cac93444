"""A small pool of kept-alive connections for each `trio.run` in which a client is used."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator

import trio

from hestiaos_proto import Config, LocalProtocolError, Send, TimedOut
from hestiaos_trio.connection import Connection, connect

__all__ = ["Pool", "Pools"]

_KEPT = 5.0  # how long an idle connection is kept, in seconds; servers mostly close theirs later than that


class Pools:
    """Hands out the pool of the running `trio.run`; `here` raises `LocalProtocolError` outside, and after `aclose`."""

    def __init__(
        self, config: Config, *, ssl_context: ssl.SSLContext | None, uds: str | None, max_connections: int
    ) -> None:
        if max_connections < 1:
            raise ValueError(f"max_connections must be 1 or more, not {max_connections}")
        self._config = config
        self._ssl_context = ssl_context
        self._uds = uds
        self._max_connections = max_connections
        self._pools: dict[trio.lowlevel.TrioToken, tuple[Pool, AsyncGenerator[None, None]]] = {}
        self._closed = False

    async def here(self) -> Pool:
        """The pool for this run."""
        if self._closed:
            raise LocalProtocolError("the client is closed: make a new one")
        if not trio.lowlevel.in_trio_run():
            raise LocalProtocolError("TrioClient works under trio only: for asyncio there is AsyncClient")
        run = trio.lowlevel.current_trio_token()
        if run not in self._pools:
            pool = Pool(self._config, self._ssl_context, self._uds, self._max_connections)
            self._pools[run] = pool, (lifetime := self._lifetime(pool, run))
            await anext(lifetime)
        return self._pools[run][0]

    async def aclose(self) -> None:
        """Close the connections of this run."""
        self._closed = True
        if (pair := self._pools.get(trio.lowlevel.current_trio_token())) is not None:
            await pair[1].aclose()

    async def _lifetime(self, pool: Pool, run: trio.lowlevel.TrioToken) -> AsyncGenerator[None, None]:
        """Closes `pool` at the latest when its run ends: trio closes the generators that wait then."""
        try:
            yield
        finally:
            self._pools.pop(run, None)
            pool.close()


class Pool:
    """At most `max_connections` at a time; the one that was used last is used first."""

    def __init__(
        self, config: Config, ssl_context: ssl.SSLContext | None, uds: str | None, max_connections: int
    ) -> None:
        self._config = config
        self._ssl_context = ssl_context
        self._uds = uds
        self._places = trio.Semaphore(max_connections)
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._closed = False

    async def acquire(self, send: Send) -> Connection:
        """A connection, to be released in the end.

        Raises `ConnectFailed`, `TimedOut`, and `LocalProtocolError` where the pool is closed meanwhile.
        """
        try:
            self._places.acquire_nowait()  # what follows waits for the network, and is a checkpoint
        except trio.WouldBlock:
            await self._wait(send)
        try:
            if self._closed:
                raise self._refusal()
            return self._kept() or await self._connect(send)
        except BaseException:  # a cancellation too; it is raised again
            self._places.release()
            raise

    def release(self, connection: Connection) -> None:
        """Take a connection back; one that was left in the middle of a response is ended. It never waits."""
        if connection.machine.reusable and connection in self._open:
            connection.idle_since = trio.current_time()
            self._idle.append(connection)
        else:
            self._end(connection)
        self._places.release()

    def close(self) -> None:
        """End every connection."""
        self._closed = True
        self._places.release()  # those who wait for one are told, one after another
        self._idle.clear()
        while self._open:
            self._open.pop().close()

    async def _wait(self, send: Send) -> None:
        with trio.move_on_after(send.deadline.bound(send.timeout)) as scope:
            await self._places.acquire()
        if scope.cancelled_caught:
            raise TimedOut(f"every connection to {send.request.origin} stayed in use for too long", request_sent=False)

    async def _connect(self, send: Send) -> Connection:
        connection = await connect(self._config, send, ssl_context=self._ssl_context, uds=self._uds)
        if self._closed:
            connection.close()
            raise self._refusal()
        self._open.add(connection)
        return connection

    @staticmethod
    def _refusal() -> LocalProtocolError:
        return LocalProtocolError("the client was closed while this waited for a connection")

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and trio.current_time() - connection.idle_since < _KEPT:
                return connection
            self._end(connection)
        return None

    def _end(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()
