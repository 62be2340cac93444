"""The httpx clients under one of ours: one for each process and each event loop, or the one that was given.

A connection belongs to the process and the event loop in which it was made. So a client of ours can be used after a
fork and in several event loops, one after another or in several threads.
"""

from __future__ import annotations

import os
import weakref
from functools import partial
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any

from hestiaos_httpx._library import BASE, Library, httpx, library_of
from hestiaos_httpx._loops import call_in, current_loop
from hestiaos_httpx._pool import Pool
from hestiaos_httpx._route import Route
from hestiaos_proto import LocalProtocolError

if TYPE_CHECKING:
    from hestiaos_httpx._exchange import Exchange

__all__ = ["Http", "HttpClients"]


class _SyncTransport(httpx.HTTPTransport):
    """httpx's transport over a pool of ours.

    `handle_request` is httpx's own, since pytest-httpx, vcrpy and OpenTelemetry replace it on the class.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool: Any = pool  # the one private name, of httpx 0.27 and 0.28 and of httpx2


class _AsyncTransport(httpx.AsyncHTTPTransport):
    """As `_SyncTransport`."""

    def __init__(self, pool: Pool) -> None:
        self._pool: Any = pool


class _NoCookies(CookieJar):
    """Keeps nothing. A run's cookies would grow without bound, and the jar's lock can be left taken by Ctrl-C."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Keep none."""

    def add_cookie_header(self, request: Any) -> None:
        """Send none."""


class Http:
    """An httpx client of one process or event loop, its library, and our pool under it, `None` under a given one."""

    def __init__(
        self, library: Library, client: Any, pool: Pool | None, peer: str | None, *, asynchronous: bool
    ) -> None:
        self.library = library
        self.client = client
        self.pool = pool
        self.peer = peer
        self.asynchronous = asynchronous
        self.closed = False  # our client
        self.exchanges: dict[int, weakref.ref[Exchange]] = {}
        self._process = os.getpid()

    def is_ours(self) -> bool:
        """Whether this is the process that made it. In a forked child nothing of it may be used, or shut down."""
        return self._process == os.getpid()

    def end(self) -> None:
        """End every connection: from any thread, or inside the event loop. In a forked child as `abandon`."""
        if not self.is_ours():
            self.abandon()
            return
        self.closed = True
        if self.pool is not None:
            self.pool.close()
        for reference in list(self.exchanges.values()):
            if (exchange := reference()) is not None:
                exchange.cancel()

    def abandon(self) -> None:
        """Close the sockets of an event loop that runs no more, or our copies of those of the parent process."""
        self.closed = True
        if self.pool is not None:
            self.pool.abandon()


class HttpClients:
    """Hands out the httpx client to use here and now.

    A `transport` or `http_client` that is given is httpx's or httpx2's, and a client stays open; without one, our own
    connections take `route`. Raises `TypeError` for what is neither's, or cannot serve the client's own methods.
    """

    def __init__(self, route: Route | None, *, transport: object, http_client: object, asynchronous: bool) -> None:
        self._route = route
        self.closed = False
        self._transport, self._client = transport, http_client
        self._library = _library_of_given(transport, http_client, "Async" if asynchronous else "")
        self._process = os.getpid()
        self._sync: dict[int, Http] = {}  # by process
        self._async: dict[int, tuple[weakref.ref[Any], Http]] = {}  # by the id of the event loop
        # A script may drop its client without closing it: its sockets are closed then, and at the latest at the exit.
        weakref.finalize(self, _abandon, self._sync, self._async)

    def sync(self) -> Http:
        """The one for this process. Raises `LocalProtocolError` after a close, and where another kind was given."""
        self.check_open()
        process = os.getpid()
        if (http := self._sync.get(process)) is None:
            for parent in set(self._sync) - {process}:
                if (inherited := self._sync.pop(parent, None)) is not None:
                    inherited.abandon()
            http = self._sync.setdefault(process, self._new(asynchronous=False))
        return http

    def asynchronous(self) -> Http:
        """The one for the running event loop. Raises as `sync` does."""
        self.check_open()
        loop: Any = current_loop()
        known = self._async.get(id(loop))
        if known is not None and known[0]() is loop:
            return known[1]
        for key, (reference, ended) in list(self._async.items()):
            if (other := reference()) is None or not ended.is_ours() or not call_in(other, _nothing):
                self._async.pop(key, None)  # other threads look too
                ended.abandon()
        http = self._new(asynchronous=True)
        self._async[id(loop)] = weakref.ref(loop, partial(_loop_ended, http)), http
        return http

    def close(self) -> None:
        """End every connection, those in use too, of whichever thread or event loop. It waits for none."""
        self.closed = True
        for http in list(self._sync.values()):
            http.end()
            if self._client is None and http.is_ours():
                http.client.close()
        for reference, other in list(self._async.values()):
            loop = reference()
            if loop is None or not other.is_ours() or not call_in(loop, other.end):
                other.abandon()

    async def aclose(self) -> None:
        """As `close`, and wait for the end of a transport that was given."""
        from anyio.lowlevel import checkpoint

        self.close()
        here = self._async.get(id(current_loop()))
        if here is not None:
            here[1].end()
            if self._client is None:
                await here[1].client.aclose()
        await checkpoint()  # what was closed is gone then

    def check_open(self) -> None:
        """Raise `LocalProtocolError` after `close`, and where the library's own connections are of before a fork."""
        if self.closed:
            raise LocalProtocolError("the client is closed: make a new one")
        forkless = self._client is not None or isinstance(self._transport, self._library.forkless)
        if forkless and self._process != os.getpid():  # a lock of theirs may be taken for ever
            raise LocalProtocolError("what was given belongs to the process before the fork: make another in this")

    def _new(self, *, asynchronous: bool) -> Http:
        library, kind = self._library, "Async" if asynchronous else ""
        name = f"{kind}{'BaseTransport' if self._client is None else 'Client'}"
        given = self._transport if self._client is None else self._client
        if given is not None and not isinstance(given, getattr(library.http, name)):
            other = "the methods without _async" if asynchronous else "the …_async methods"
            raise LocalProtocolError(f"the {type(given).__name__} that was given cannot serve this call: use {other}")
        if self._client is not None:
            return Http(library, self._client, None, None, asynchronous=asynchronous)
        pool, peer, transport = None, None, self._transport
        if self._route is not None:
            pool, peer = Pool(self._route, asynchronous=asynchronous), self._route.peer
            transport = (_AsyncTransport if asynchronous else _SyncTransport)(pool)
        hook = _forget_redirect_async if asynchronous else _forget_redirect
        new = getattr(library.http, f"{kind}Client")
        client = new(transport=transport, trust_env=False, event_hooks={"response": [hook]})
        client.cookies = _NoCookies()
        return Http(library, client, pool, peer, asynchronous=asynchronous)


def _library_of_given(transport: object, http_client: object, kind: str) -> Library:
    if transport is not None and http_client is not None:
        raise TypeError("give a transport or an http_client, not both")
    if transport is None and http_client is None:
        return BASE
    name, given, wanted = "http_client", http_client, f"{kind}Client"
    if transport is not None:
        name, given, wanted = "transport", transport, f"{kind}BaseTransport"
    library = library_of(given, (wanted,))
    if library is None:
        raise TypeError(f"{name} must be a {wanted} of httpx or httpx2, not {given!r:.80}")
    return library


def _abandon(sync: dict[int, Http], asynchronous: dict[int, tuple[Any, Http]]) -> None:
    for http in sync.values():
        http.end()
    for _, other in asynchronous.values():
        other.abandon()


def _loop_ended(http: Http, _: object) -> None:
    http.abandon()


def _nothing() -> None:
    """Called in an event loop to see whether it still takes anything."""


def _forget_redirect(response: Any) -> None:
    """httpx makes a request for a redirect that is not followed, and fails where the Location is not a URL."""
    response.headers.pop("Location", None)


async def _forget_redirect_async(response: Any) -> None:
    _forget_redirect(response)
