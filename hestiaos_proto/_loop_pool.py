"""The pool of a client's connections in one event loop, without its I/O.

The bookkeeping is `ConnectionPool`'s. An adapter adds how its event loop waits, connects, and is called from other
threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, Protocol, TypeVar

from attrs import field, frozen

from hestiaos_proto._arguments import check_whole, type_name
from hestiaos_proto._client_messages import Response
from hestiaos_proto._config import Config
from hestiaos_proto._errors import ConnectFailed, LocalProtocolError, TimedOut
from hestiaos_proto._pool import ConnectionPool, Lease
from hestiaos_proto._steps import Send
from hestiaos_proto._transports import AsyncTransport, Transport, TransportConnection, check_transport

__all__ = ["LoopConnection", "LoopPool", "NetworkOptions"]

T = TypeVar("T")


@frozen(eq=False)
class NetworkOptions:
    """The way to the server of a client.

    `ssl_context` is the `ssl.SSLContext` of an https:// server, else `None`; `uds` the path of a Unix socket to connect
    to instead of the base URL's host. At most `max_connections` are open in an event loop; at most
    `max_keepalive_connections` of those that are not in use are kept, for `keepalive_expiry` seconds; most servers
    close idle connections later than that. With a `transport` no connection is opened.

    Raises `TypeError` and `ValueError` for wrong options.
    """

    config: Config
    ssl_context: Any = field(repr=False)
    uds: str | None
    max_connections: int
    transport: Transport | AsyncTransport | None
    max_keepalive_connections: int = 20
    keepalive_expiry: float = 5.0

    def __attrs_post_init__(self) -> None:
        check_transport(self.transport)
        if not isinstance(self.uds, (str, type(None))):
            raise TypeError(f"uds must be a str or None, not {type_name(self.uds)}")
        if self.uds is not None and self.transport is not None:
            raise ValueError("uds and transport exclude each other: each says where requests go")
        check_whole("max_connections", self.max_connections)
        if self.max_connections < 1:
            raise ValueError(f"max_connections must be 1 or more, not {self.max_connections}")


class LoopConnection(Hashable, Protocol):
    """A connection of an event loop, which carries one exchange after another."""

    @property
    def usable(self) -> bool:
        """Whether it can carry another exchange: it has not expired, and the server has not closed it."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing more of the response will arrive."""
        ...

    def keep(self) -> bool:
        """End the exchange, and return whether the connection can be kept for another."""
        ...

    async def exchange(self, send: Send, /) -> Response:
        """Send a request and wait for the whole response, or for the head of an event stream."""
        ...

    async def receive(self, timeout: float, /) -> None:  # noqa: ASYNC109  # it is the adapter that times
        """Feed the stream of the response what arrives within `timeout` seconds, or the fault that came instead."""
        ...

    def close(self) -> None:
        """Close the connection at once, without TLS's end; a task that waits for it gets an error.

        A second call does nothing. If the event loop has ended, and in a forked process, only the descriptor is closed.
        """
        ...


class LoopPool(ABC):
    """The connections of one event loop. Methods that are not coroutines may be called from any thread."""

    def __init__(self, network: NetworkOptions) -> None:
        self.network = network
        self._pool: ConnectionPool[LoopConnection] = ConnectionPool(
            network.max_connections, network.max_keepalive_connections, usable=lambda connection: connection.usable
        )
        self._cancels: set[Callable[[], object]] = set()
        """The functions that cancel the attempts to connect."""

    async def acquire(self, send: Send) -> tuple[Lease[LoopConnection], LoopConnection]:
        """Return a connection and its lease, which the caller releases.

        Raises `ConnectFailed`, `TimedOut`, and `LocalProtocolError` if the client is closed meanwhile.
        """
        turn = self._event()
        lease: Lease[LoopConnection] = Lease(turn.set)
        self._pool.enqueue(lease)
        try:
            if not self._pool.admits(lease):
                await self._wait_for(turn, send)
            self._check_open()
            connection = self._pool.acquire(lease)
            if connection is None:
                self._close_surplus()
                connection = await self._open(send)
                self._pool.opened(lease, connection)
                self._check_open()
        except BaseException:  # a cancellation too; it is raised again
            self.release(lease)
            raise
        return lease, connection

    def release(self, lease: Lease[LoopConnection]) -> None:
        """Release a connection; one whose response was not read to its end is closed. It never waits."""
        if self.is_current():
            self._release(lease)
        else:
            self.release_soon(lease)

    def release_soon(self, lease: Lease[LoopConnection]) -> None:
        """Release a connection as soon as the event loop runs; if that has ended, close it."""
        if not self.call_soon(self._release, lease):
            self._discard(lease)

    def close(self) -> None:
        """Close every connection and end every wait for one: at once in the event loop, else as soon as it runs."""
        if self.is_current():
            self._close()
        elif not self.call_soon(self._close):
            for connection in self._pool.close():
                connection.close()

    @property
    def ended(self) -> bool:
        """Whether the event loop has ended."""
        return not self.call_soon(_nothing)

    def _release(self, lease: Lease[LoopConnection]) -> None:
        if lease.connection is not None and lease.connection.keep():
            self._pool.release(lease)
        else:
            self._discard(lease)
        self._close_surplus()

    def _discard(self, lease: Lease[LoopConnection]) -> None:
        connection = lease.connection
        self._pool.discard(lease)
        if connection is not None:
            connection.close()

    def _close(self) -> None:
        for connection in self._pool.close():
            connection.close()
        for cancel in list(self._cancels):
            cancel()

    def _close_surplus(self) -> None:
        for connection in self._pool.surplus():
            connection.close()

    def _check_open(self) -> None:
        if self._pool.closed:
            raise LocalProtocolError("the client was closed while the call waited for a connection")

    async def _wait_for(self, turn: Any, send: Send) -> None:
        if not await self._wait(turn, send.deadline.bound(send.timeout)):
            raise _unsent(send, f"every connection to {send.request.origin} stayed in use for too long")

    async def _open(self, send: Send) -> LoopConnection:
        if self.network.transport is not None:
            return TransportConnection(self.network.transport, self._checkpoint, self._within, self._spawn)
        origin = send.request.origin
        try:
            seconds = send.deadline.bound(send.timeout)
            connection = await self._within(seconds, self._cancels, partial(self._connect, seconds))
        except (
            OSError,
            ValueError,
            RuntimeError,
        ) as error:  # a host that is not a name; a thread that cannot be started
            raise ConnectFailed(f"cannot connect to {origin}: {self._reason(error)}") from error
        if connection is None:
            self._check_open()
            raise _unsent(send, f"connecting to {origin} took too long")
        return connection

    @abstractmethod
    def is_current(self) -> bool:
        """Return whether this is the running event loop."""

    @abstractmethod
    def call_soon(self, function: Callable[..., object], /, *args: object) -> bool:
        """Schedule `function` in the event loop, from any thread.

        Returns false if the loop has ended, or belongs to the process from which this one was forked.
        """

    @abstractmethod
    def _event(self) -> Any:
        """Return an event of this loop, which has a method `set`."""

    @abstractmethod
    async def _wait(self, event: Any, seconds: float) -> bool:
        """Wait for an event for at most `seconds`, and return whether it was set."""

    @abstractmethod
    async def _checkpoint(self) -> None:
        """Let other tasks run."""

    @abstractmethod
    async def _within(
        self, seconds: float, cancels: set[Callable[[], object]], work: Callable[[], Awaitable[T]]
    ) -> T | None:
        """Await what `work` returns. Return `None` if it takes longer, or is cancelled by a function in `cancels`."""

    @abstractmethod
    def _spawn(self, work: Callable[[], Awaitable[object]]) -> None:
        """Await what `work` returns in a separate task. Outside of the event loop this does nothing."""

    @abstractmethod
    async def _connect(self, seconds: float) -> LoopConnection:
        """Return a new connection, with TLS if needed, within this many `seconds`.

        Raises `OSError`, `ValueError` and `RuntimeError`; `_reason` is their message.
        """

    @staticmethod
    def _reason(error: BaseException) -> str:
        """Return the message for an error of `_connect`."""
        return str(error) or type(error).__name__


def _nothing() -> None:
    pass


def _unsent(send: Send, message: str) -> TimedOut:
    error = send.deadline.timeout_error(message)
    error.request_sent = False
    return error
