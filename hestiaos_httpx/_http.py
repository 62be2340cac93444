"""An httpx client, our own or the user's, for the threads of a process or for one event loop."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from http.cookiejar import CookieJar
from typing import Any, TypeVar

from hestiaos_httpx._exchange import Exchange
from hestiaos_httpx._library import Library, httpx
from hestiaos_httpx._messages import Outgoing, Received
from hestiaos_httpx._pool import Pool
from hestiaos_httpx._scopes import Scope

__all__ = ["Http", "new_client"]

R = TypeVar("R", bound=Received)


class _Transport(httpx.HTTPTransport):
    """httpx's transport over our own pool.

    `handle_request` is httpx's own, since pytest-httpx, vcrpy and OpenTelemetry replace it on the class.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool: Any = pool  # the one private name, of httpx 0.27 and 0.28 and of httpx2


class _AsyncTransport(httpx.AsyncHTTPTransport):
    """As `_Transport`."""

    def __init__(self, pool: Pool) -> None:
        self._pool: Any = pool


class _NoCookies(CookieJar):
    """Keeps nothing: cookies could grow without limit, and Ctrl-C can leave the lock of the jar taken."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Ignore the response's cookies."""

    def add_cookie_header(self, request: Any) -> None:
        """Add no cookies."""


def _forget_redirect(response: Any) -> None:
    """httpx builds a request for a redirect, also if it is not followed. A wrong Location fails (encode/httpx#3706)."""
    response.headers.pop("Location", None)


async def _forget_redirect_async(response: Any) -> None:
    _forget_redirect(response)


def new_client(library: Library, transport: Any, *, asynchronous: bool) -> Any:
    """Create a client of `library` over `transport`, or over httpx's own transport with our `Pool`."""
    if isinstance(transport, Pool):
        transport = _AsyncTransport(transport) if asynchronous else _Transport(transport)
    hook = _forget_redirect_async if asynchronous else _forget_redirect
    new = library.http.AsyncClient if asynchronous else library.http.Client
    client = new(transport=transport, trust_env=False, event_hooks={"response": [hook]})
    client.cookies = _NoCookies()
    return client


class Http:
    """An httpx client for the threads of this process, or for the event loop `loop` of it.

    `scope` is the class of the exchanges' scopes, `library` the one that `client` is of, `pool` ours under it, `None`
    under one that was given.
    """

    def __init__(self, scope: type[Scope], library: Library, client: Any, pool: Pool | None, loop: object) -> None:
        self.scope = scope
        self.library = library
        self.client = client
        self.pool = pool
        self.closed: bool = False  # our client
        self.exchanges: dict[int, weakref.ref[Exchange[Any]]] = {}
        self.closing: set[object] = set()  # the tasks that close dropped streams: asyncio itself holds tasks weakly
        self._loop = None if loop is None else weakref.ref(loop, lambda _: self.abandon())
        self._process = os.getpid()

    @property
    def loop(self) -> Any:
        """The event loop, `None` for threads, and after it has ended and was garbage-collected."""
        return self._loop and self._loop()

    def is_ours(self) -> bool:
        """Return whether this process made it. In a forked child it must not be used or shut down."""
        return self._process == os.getpid()

    def serves(self, loop: object) -> bool:
        """Return whether it is for this event loop, or for threads if `loop` is `None`."""
        return self.is_ours() and loop is self.loop

    def has_ended(self) -> bool:
        """Return whether it cannot be used any more: it is of another process, or its event loop has ended."""
        return not self._in_loop(_nothing)

    def exchange(self, send: Outgoing[R], event: threading.Event | None = None) -> Exchange[R]:
        """Another exchange; a set `event` ends it, in a thread."""
        return Exchange(self, send, event)

    def new_request(self, send: Outgoing[Any], extensions: dict[str, Any]) -> Any:
        """Create a request of the client's library from the core's."""
        http = self.library.http
        # Our own client has nothing to add to a request, and would take two thirds of the time to find out.
        new = self.client.build_request if self.pool is None else http.Request
        timeout = dict.fromkeys(("connect", "pool"), send.timeout)
        timeout |= {"write": send.write_timeout, "read": send.read_timeout}
        headers = send.request.headers
        if "%" in send.request.origin:  # httpx would send the zone of the address as well
            headers = {"Host": send.request.host, **headers}
        request = new(
            send.request.method,
            send.request.url,
            headers=headers,
            content=send.request.body or None,
            extensions={"timeout": timeout, **extensions},
        )
        if self.scope.asynchronous:
            request.stream = self.library.body(send.request.body)
        return request

    def end(self) -> None:
        """End every exchange, and close the connections; called in any thread, or in the event loop."""
        self.closed = True
        for reference in list(self.exchanges.values()):
            if (exchange := reference()) is not None:
                exchange.cancel()
        if self.pool is not None:
            self.pool.close()

    def end_soon(self) -> None:
        """End all exchanges like `end`, from any thread or task, without waiting."""
        self.closed = True
        if not self._in_loop(self.end):
            self.abandon()

    def abandon(self) -> None:
        """Close the sockets only: the event loop has ended, or this is a forked child."""
        self.closed = True
        if self.pool is not None:
            self.pool.abandon()

    def drop(self, exchange: Exchange[Any]) -> None:
        """Close an exchange as soon as the event loop runs, from any thread; if that has ended, at once."""
        if self.is_ours() and self.scope.drop(self.loop, exchange):
            return
        if exchange.connection is not None:
            exchange.connection.network.abandon()
        exchange.release(keep=False)

    def _in_loop(self, function: Callable[[], object]) -> bool:
        return self.is_ours() and self.scope.call_in(self.loop, function)


def _nothing() -> None:
    """Called in an event loop to find out whether it still runs."""
