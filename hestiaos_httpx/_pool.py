"""The connections of one process or event loop: httpcore's, one for each exchange, under the core's bookkeeping.

httpcore's own pool does not survive what programs meet: Ctrl-C in its lock blocks the next call for ever, a forked
child that closes it hangs, and a cancelled request loses its place (encode/httpcore#658, #830, #1093, mended in
httpcore2 2.6; a double cancellation: encode/httpx#3782).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from hestiaos_httpx._library import BASE, is_patched
from hestiaos_httpx._network import Network
from hestiaos_httpx._route import Route
from hestiaos_httpx._sockets import shut_down
from hestiaos_httpx._steps import Call, Steps, Turn, run, run_async
from hestiaos_proto import ConnectionPool

if TYPE_CHECKING:
    from hestiaos_httpx._exchange import Exchange

__all__ = ["EXCHANGE", "Connection", "Pool"]

EXCHANGE = "hestiaos.exchange"
"""The request extension that says, by a weak reference, which exchange a request belongs to."""


class Connection:
    """httpcore's connection, and the network under it."""

    def __init__(self, route: Route, exchange: Exchange, *, asynchronous: bool) -> None:
        drive = run_async if asynchronous else run
        self.network = Network(BASE.core, exchange.guard, route.handshakes, drive, socks=route.socks)
        self.http = route.connection(self.network, asynchronous=asynchronous)
        self.served = False  # an exchange before this one
        self.busy = True

    def is_usable(self) -> bool:
        """Whether another request can be sent: the last response was read whole, and nothing has come since."""
        return self.http.is_idle() and not self.http.has_expired()


class Pool:
    """What takes the place of httpcore's pool in httpx's transport; each request belongs to an `Exchange`."""

    def __init__(self, route: Route, *, asynchronous: bool) -> None:
        self.places: ConnectionPool[Connection] = ConnectionPool(
            route.max_connections, route.max_keepalive, usable=Connection.is_usable
        )
        self._route = route
        self._asynchronous = asynchronous

    @property
    def closed(self) -> bool:
        """Whether nothing more is carried."""
        return self.places.closed

    def handle_request(self, request: Any) -> Any:
        """Carry a request of httpcore's, and return its response. Raises httpcore's exceptions."""
        return run(self._carry(request))

    def handle_async_request(self, request: Any) -> Any:
        """As `handle_request`, in a task."""
        return run_async(self._carry(request))

    def _carry(self, request: Any) -> Steps[Any]:
        exchange: Exchange = request.extensions[EXCHANGE]()
        connection = yield from self._acquire(exchange)
        try:
            return (yield Call(partial(self._handler(connection), request)))
        except Exception as error:
            if not self._route.socks or connection.network.established:
                raise
            if not (isinstance(error, AssertionError) or type(error).__module__.startswith("socksio")):
                raise
            # What a SOCKS proxy says wrongly fails an assertion of httpcore's, or is socksio's own exception.
            raise BASE.core.ProxyError(f"{type(error).__name__}: {error}") from error

    def _handler(self, connection: Connection) -> Callable[[Any], Any]:
        """What carries a request: the connection; a pool of httpcore's around it where that class was patched.

        Mocks and tracers patch either class (respx both, Elastic APM the pool's), at any time, and are to see each
        request; behind a proxy only the pool's method is told the server's URL.
        """
        name = "handle_async_request" if self._asynchronous else "handle_request"
        carrier = connection.http
        pool_class = self._route.pool_class(asynchronous=self._asynchronous)
        if is_patched(pool_class, name):
            carrier = self._route.pool(asynchronous=self._asynchronous)
            carrier.create_connection = lambda _: connection.http
        handler: Callable[[Any], Any] = getattr(carrier, name)
        return handler

    def _acquire(self, exchange: Exchange) -> Steps[Connection]:
        places, guard = self.places, exchange.guard
        turn = Turn(guard, time.monotonic() + guard.connect_timeout, asynchronous=self._asynchronous)
        exchange.lease = lease = places.lease(turn.wake)
        try:
            while not places.admits(lease):
                yield turn
        except TimeoutError as error:
            raise BASE.core.PoolTimeout(str(error)) from error
        except OSError as error:
            raise BASE.core.ConnectError(str(error)) from error
        if places.closed:
            raise BASE.core.ConnectError("the client is closed")
        connection = places.acquire(lease)
        if connection is None:
            self._close_surplus()  # first, or there would be more connections than there may be
            connection = Connection(self._route, exchange, asynchronous=self._asynchronous)
            places.opened(lease, connection)
        else:
            connection.busy = True
            connection.network.guard = guard
            connection.network.received = False
            connection.network.joiner.next_response()
        exchange.connection = connection
        return connection

    def finish(self, exchange: Exchange, *, keep: bool) -> None:
        """End an exchange. `keep` its connection where its response was read whole, else close it. It never waits.

        A second time does nothing, or what an interrupt has left of the first.
        """
        lease, connection = exchange.lease, exchange.connection
        if lease is None:
            return
        if connection is None:
            self.places.discard(lease)
        elif keep and exchange.claim() and not self.closed and connection.http.is_idle():
            connection.served, connection.busy = True, False
            self.places.release(lease)
        else:
            connection.network.close()
            self.places.discard(lease)
        exchange.lease = exchange.connection = None
        self._close_surplus()

    def _close_surplus(self) -> None:
        for connection in self.places.surplus():
            connection.network.close()

    def close(self) -> None:
        """End every connection, those in use too, and tell those who wait for one."""
        for connection in self.places.close():
            if connection.busy and not self._asynchronous:
                shut_down(connection.network.socket)  # whoever reads from it closes it
            else:
                connection.network.close()

    def abandon(self) -> None:
        """Close the sockets, and nothing else."""
        for connection in self.places.close():
            connection.network.guard.scope = None
            connection.network.close()

    async def aclose(self) -> None:
        """As `close`, as httpx calls it."""
        self.close()
