"""The httpx clients behind one of ours: made when first needed, lines for each process, one for each event loop.

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

import httpx

from hestiaos_httpx.lines import AsyncLines, Line, Lines
from hestiaos_httpx.loops import current_loop
from hestiaos_proto import Config, LocalProtocolError, Send

__all__ = ["AnyHttpClient", "AnyTransport", "Pools"]

_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)  # httpx's own, which it does not name

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
        self._limits = limits or _LIMITS
        self._sync: dict[int, Lines] = {}  # by process id
        self._async: dict[object, tuple[AsyncLines, AsyncGenerator[None, None]]] = {}  # by event loop
        self._closed = False
        # A script may drop its client without closing it: its sockets are closed then, and at the latest at the exit.
        weakref.finalize(self, _close_all, self._sync)

    def take_line(self, send: Send) -> Line[httpx.Client]:
        """A line for an exchange, to be given back. Raises `TimedOut` where none becomes free."""
        self.check_open()
        if isinstance(self._given, httpx.Client):
            return Line(self._given, given=True)
        process = os.getpid()
        if (lines := self._sync.get(process)) is None:
            # Of before a fork: this closes our copies of the parent's sockets, not the parent's. Several threads may
            # come here at once: each of those lines is closed by one of them, and new ones are kept by one of them.
            for parent in set(self._sync) - {process}:
                if (inherited := self._sync.pop(parent, None)) is not None:
                    inherited.close()
            lines = Lines(self._new_sync_client, self._limits, shared=self._transport is not None)
            lines = self._sync.setdefault(process, lines)
        return lines.take(send)

    def give_back(self, line: Line[httpx.Client]) -> None:
        """Take a line back, for the next exchange."""
        if (lines := self._sync.get(os.getpid())) is not None:
            lines.give_back(line)

    async def async_lines(self) -> AsyncLines:
        """The lines for the running event loop; what is under way when it ends is closed."""
        self.check_open()
        loop = current_loop()
        if loop not in self._async:
            given, shared = isinstance(self._given, httpx.AsyncClient), self._transport is not None
            lines = AsyncLines(self._new_async_client, self._limits, shared=given or shared, given=given)
            self._async[loop] = lines, (lifetime := self._lifetime(loop))
            await anext(lifetime)
        return self._async[loop][0]

    def close(self) -> None:
        """Close this process's connections."""
        self._closed = True
        _close_all(self._sync)

    async def aclose(self) -> None:
        """Close this process's and this event loop's connections."""
        self.close()
        if (pool := self._async.get(current_loop())) is not None:
            await pool[1].aclose()

    def check_open(self) -> None:
        """Raise `LocalProtocolError` after `close` or `aclose`."""
        if self._closed:
            raise LocalProtocolError("the client is closed: make a new one")

    async def _lifetime(self, loop: object) -> AsyncGenerator[None, None]:
        """Ends a loop's lines at the latest with the loop: asyncio and trio close the generators that wait then."""
        try:
            yield
        finally:
            lines, _ = self._async.pop(loop)
            await lines.aclose()

    def _new_sync_client(self) -> httpx.Client:
        if self._transport is not None and not isinstance(self._transport, httpx.BaseTransport):
            raise LocalProtocolError("the transport that was given is asynchronous only: use the …_async methods")
        return httpx.Client(
            transport=self._transport,
            verify=self._ssl_context(),
            limits=self._limits,
            event_hooks={"response": [_forget_redirect]},
        )

    def _new_async_client(self) -> httpx.AsyncClient:
        if isinstance(self._given, httpx.AsyncClient):
            return self._given
        if self._transport is not None and not isinstance(self._transport, httpx.AsyncBaseTransport):
            raise LocalProtocolError("the transport that was given is synchronous only: use the methods without _async")
        return httpx.AsyncClient(
            transport=self._transport,
            verify=self._ssl_context(),
            limits=self._limits,
            event_hooks={"response": [_forget_redirect_async]},
        )

    def _ssl_context(self) -> ssl.SSLContext | bool:
        if not self._tls:
            return _no_authorities()
        return _default_authorities() if self._verify is True else self._verify


def _close_all(lines: dict[int, Lines]) -> None:
    while lines:
        lines.popitem()[1].close()


def _forget_redirect(response: httpx.Response) -> None:
    """httpx makes a request for a redirect that is not followed, and fails where the Location is no URL."""
    response.headers.pop("Location", None)


async def _forget_redirect_async(response: httpx.Response) -> None:
    _forget_redirect(response)


@cache
def _default_authorities() -> ssl.SSLContext:
    """The usual certificate authorities, loaded once: it takes tens of milliseconds."""
    return httpx.create_ssl_context()


@cache
def _no_authorities() -> ssl.SSLContext:
    """For an http:// base URL, where TLS is never spoken; it would trust nobody."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
