"""The httpx clients behind one of ours: made when first needed, one for each process and one for each event loop.

A connection belongs to the process and the event loop in which it was made. So a client of ours can be used after a
fork and in several event loops, one after another or in several threads, as long as each has an httpx client of its
own.
"""

from __future__ import annotations

import os
import ssl
import weakref
from collections.abc import AsyncGenerator
from functools import cache
from typing import Any

import httpx
from attrs import define, field

from hestiaos_httpx.exchange import AsyncExchange
from hestiaos_httpx.loops import current_loop
from hestiaos_proto import Config, LocalProtocolError

__all__ = ["AnyHttpClient", "AnyTransport", "Pools"]

AnyHttpClient = httpx.Client | httpx.AsyncClient
AnyTransport = httpx.BaseTransport | httpx.AsyncBaseTransport


class Pools:
    """Hands out the httpx client to use here and now. Raises `LocalProtocolError` after `close` or `aclose`.

    `http_client` serves for calls of its own kind and is left open; `transport` serves both kinds where it is both.
    """

    def __init__(
        self,
        config: Config,
        *,
        transport: AnyTransport | None,
        http_client: AnyHttpClient | None,
        verify: ssl.SSLContext | bool,
        limits: httpx.Limits | None,
    ) -> None:
        self._given = http_client
        self._transport = transport
        self._tls = config.tls
        self._verify = verify
        self._options: dict[str, Any] = {} if limits is None else {"limits": limits}
        self._sync: dict[int, httpx.Client] = {}  # by process id
        self._async: dict[object, _LoopPool] = {}  # by event loop
        self._closed = False
        # A script may drop its client without closing it: its sockets are closed then, and at the latest at the exit.
        weakref.finalize(self, _close_all, self._sync)

    def sync_client(self) -> httpx.Client:
        """The client for this process."""
        self._check_open()
        if isinstance(self._given, httpx.Client):
            return self._given
        process = os.getpid()
        if process not in self._sync:
            _close_all(
                self._sync
            )  # made before a fork: this closes our copies of the parent's sockets, not the parent's
            # Of two threads that come here at once, one keeps its client; the other's has no connection yet.
            self._sync.setdefault(process, self._new_sync_client())
        return self._sync[process]

    async def async_client(self) -> httpx.AsyncClient:
        """The client for the running event loop."""
        return (await self._here()).client

    async def hold(self, exchange: AsyncExchange) -> None:
        """Keep an exchange that is left open, until it is released; what is held when its event loop ends is closed."""
        (await self._here()).held.add(exchange)

    def release(self, exchange: AsyncExchange) -> None:
        """Let go of an exchange that is closed."""
        for pool in list(self._async.values()):
            pool.held.discard(exchange)

    def close(self) -> None:
        """Close this process's connections."""
        self._closed = True
        _close_all(self._sync)

    async def aclose(self) -> None:
        """Close this process's and this event loop's connections."""
        self.close()
        if (pool := self._async.get(current_loop())) is not None:
            await pool.lifetime.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise LocalProtocolError("the client is closed: make a new one")

    async def _here(self) -> _LoopPool:
        self._check_open()
        loop = current_loop()
        if loop not in self._async:
            given = self._given if isinstance(self._given, httpx.AsyncClient) else None
            client = given or self._new_async_client()
            self._async[loop] = _LoopPool(client, self._lifetime(loop, own=given is None))
            await anext(self._async[loop].lifetime)
        return self._async[loop]

    async def _lifetime(self, loop: object, *, own: bool) -> AsyncGenerator[None, None]:
        """Ends a loop's pool at the latest with the loop: asyncio and trio close the generators that wait then."""
        try:
            yield
        finally:
            pool = self._async.pop(loop)
            for exchange in list(pool.held):
                await exchange.aclose()
            if own:
                await pool.client.aclose()

    def _new_sync_client(self) -> httpx.Client:
        if self._transport is not None and not isinstance(self._transport, httpx.BaseTransport):
            raise LocalProtocolError("the transport that was given is asynchronous only: use the …_async methods")
        return httpx.Client(transport=self._transport, verify=self._ssl_context(), **self._options)

    def _new_async_client(self) -> httpx.AsyncClient:
        if self._transport is not None and not isinstance(self._transport, httpx.AsyncBaseTransport):
            raise LocalProtocolError("the transport that was given is synchronous only: use the methods without _async")
        return httpx.AsyncClient(transport=self._transport, verify=self._ssl_context(), **self._options)

    def _ssl_context(self) -> ssl.SSLContext | bool:
        if not self._tls:
            return _no_authorities()
        return _default_authorities() if self._verify is True else self._verify


@define
class _LoopPool:
    """What belongs to one event loop."""

    client: httpx.AsyncClient
    lifetime: AsyncGenerator[None, None]
    held: set[AsyncExchange] = field(factory=set)


def _close_all(clients: dict[int, httpx.Client]) -> None:
    while clients:
        clients.popitem()[1].close()


@cache
def _default_authorities() -> ssl.SSLContext:
    """The usual certificate authorities, loaded once: it takes tens of milliseconds."""
    return httpx.create_ssl_context()


@cache
def _no_authorities() -> ssl.SSLContext:
    """For an http:// base URL, where TLS is never spoken; it would trust nobody."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
