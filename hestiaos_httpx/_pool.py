"""The connections of one process or event loop: httpcore connections in the core's `ConnectionPool`.

httpcore's own pool fails in ordinary programs: Ctrl-C in its lock blocks the next call forever, a forked
child that closes it hangs, and a cancelled request loses its place (encode/httpcore#658, #830, #1093, fixed in
httpcore2 2.6; a double cancellation: encode/httpx#3782).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hestiaos_httpx._library import core, is_patched
from hestiaos_httpx._network import Network
from hestiaos_httpx._route import Route
from hestiaos_httpx._scopes import Scope, Steps
from hestiaos_httpx._streams import BodyStream
from hestiaos_proto import ConnectionPool, Lease

if TYPE_CHECKING:
    from hestiaos_httpx._exchange import Exchange

__all__ = ["EXCHANGE", "Connection", "Pool"]

EXCHANGE = "hestiaos.exchange"
"""The request extension that says, by a weak reference, which exchange a request belongs to."""


class Connection:
    """httpcore's connection, and the network under it."""

    def __init__(self, route: Route, scope: Scope) -> None:
        self.network: Network = Network(scope, route.handshakes, socks=route.socks)
        self.http: Any = route.connection(self.network, asynchronous=scope.asynchronous)
        self.served = False  # it has carried an exchange before this one
        self.idle: bool = False

    def is_usable(self) -> bool:
        """Return whether another request can be sent: the last response was read to its end, and no data is unread."""
        return self.http.is_idle() and not self.http.has_expired() and not self._has_unread()

    def _has_unread(self) -> bool:
        # httpcore takes bytes after the end of one response as the beginning of the next.
        http = self.http
        while (inner := getattr(http, "_connection", None)) is not None:
            http = inner
        state = getattr(http, "_h11_state", None)
        return state is not None and bool(state.trailing_data[0])

    def serve(self, scope: Scope) -> None:
        """Begin another exchange."""
        self.idle = False
        self.network.scope = scope
        self.network.next_response()


class Pool:
    """Replaces httpcore's pool in httpx's transport. Each request belongs to an `Exchange`."""

    def __init__(self, route: Route, scope: type[Scope]) -> None:
        self.places: ConnectionPool[Connection] = ConnectionPool(
            route.max_connections, route.max_keepalive, usable=Connection.is_usable
        )
        self.route = route
        self._scope = scope

    def handle_request(self, request: Any) -> Any:
        """Send a request of httpcore, and return its response. Raises the exceptions of httpcore."""
        return self._scope.run(self._carry(request))

    handle_async_request = handle_request

    def _carry(self, request: Any) -> Steps[Any]:
        exchange: Exchange[Any] = request.extensions[EXCHANGE]()
        connection = yield from self._acquire(exchange)
        try:
            response = yield from exchange.scope.call(self._handler(connection), request)
            if connection.network.chunks is not None:
                response.stream = BodyStream(connection.network, response.stream)
            return response
        except Exception as error:
            if not self.route.socks or connection.network.established:
                raise
            if not (isinstance(error, AssertionError) or type(error).__module__.startswith("socksio")):
                raise
            # A wrong answer of a SOCKS proxy fails an assertion of httpcore, or is an exception of socksio.
            raise core().ProxyError(f"{type(error).__name__}: {error}") from error

    def _handler(self, connection: Connection) -> Callable[[Any], Any]:
        """Return the object that sends a request: the connection, or httpcore's pool with it if a class was patched.

        Mocks and tracers patch either class (respx both, Elastic APM the pool's), at any time, and are to see each
        request; with a proxy only the pool's method gets the server's URL.
        """
        asynchronous = self._scope.asynchronous
        name = "handle_async_request" if asynchronous else "handle_request"
        carrier = connection.http
        if is_patched(self.route.pool_class(asynchronous=asynchronous), name):
            carrier = self.route.pool(asynchronous=asynchronous)
            carrier.create_connection = lambda _: connection.http
        handler: Callable[[Any], Any] = getattr(carrier, name)
        return handler

    def _acquire(self, exchange: Exchange[Any]) -> Steps[Connection]:
        places, scope = self.places, exchange.scope
        until = time.monotonic() + scope.connect_timeout
        wake, wait = scope.event()
        lease: Lease[Connection] = Lease(wake)
        exchange.lease = lease
        places.enqueue(lease)
        try:
            while not places.admits(lease):
                yield from wait(until)
            if places.closed:
                raise OSError("the client is closed")
        except OSError as error:
            kind = core().PoolTimeout if isinstance(error, TimeoutError) else core().ConnectError
            raise kind(str(error)) from error
        connection = places.acquire(lease)
        if connection is None:
            self._close_surplus()  # first, to stay within the limit
            connection = Connection(self.route, scope)
            places.opened(lease, connection)
        else:
            connection.serve(scope)
        return connection

    def finish(self, exchange: Exchange[Any], *, keep: bool) -> None:
        """End an exchange. `keep` its connection if the response was read to its end, else close it. It never waits.

        A second call does nothing, or what an interrupt has left undone.
        """
        if (lease := exchange.lease) is None:
            return
        connection = lease.connection
        if connection is None:
            self.places.discard(lease)
        elif keep and exchange.claim() and not self.places.closed and connection.http.is_idle():
            exchange.scope.finish()
            connection.served = connection.idle = True
            self.places.release(lease)
        else:
            connection.network.close()
            self.places.discard(lease)
        exchange.lease = None
        self._close_surplus()

    def close(self) -> None:
        """Close the idle connections, and wake those that wait for one; exchanges close those in use."""
        for connection in self.places.close():
            if connection.idle:
                connection.network.close()
        self._close_surplus()

    async def aclose(self) -> None:
        """Close like `close`, called by httpx."""
        self.close()

    def abandon(self) -> None:
        """Close the sockets of all connections, while no task waits for them."""
        for connection in self.places.close():
            connection.network.abandon()

    def _close_surplus(self) -> None:
        for connection in self.places.surplus():
            connection.network.close()
