"""Our connections for requests other than HestiaOS's operations."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from hestiaos_httpx._messages import Outgoing, Received
from hestiaos_proto import Config

if TYPE_CHECKING:
    from hestiaos_httpx._exchange import Exchange

__all__ = ["AsyncConnections", "AsyncExchange"]

R = TypeVar("R", bound=Received)


class AsyncExchange(Generic[R]):
    """A request that was sent, and its `response`, whose head has arrived, or which is whole if it has no `stream`."""

    def __init__(self, exchange: Exchange[R], response: R) -> None:
        self._exchange = exchange
        self.response: R = response

    async def receive(self, timeout: float) -> bool:  # noqa: ASYNC109  # the network times it
        """Pass the next piece of the body, its end or its fault to the response; false at the end.

        Waits for `timeout` seconds.
        """
        more: bool = await self._exchange.scope.run(self._exchange.receive(timeout))
        return more


class AsyncConnections:
    """Connections to the server of `config`, in tasks of asyncio and trio: each serves one exchange, as many as asked.

    `verify` and the proxy of the environment are as in a client, and so is what cancellations, timeouts and forks do.
    Raises `ValueError` for variables of the environment that are wrong.
    """

    def __init__(self, config: Config, *, verify: ssl.SSLContext | bool = True) -> None:
        # httpx is loaded with the first object, as by the clients.
        from hestiaos_httpx._http_clients import HttpClients
        from hestiaos_httpx._library import BASE
        from hestiaos_httpx._route import Route

        limits = BASE.http.Limits(max_connections=None, max_keepalive_connections=0)
        route = Route(config, verify=verify, limits=limits)
        self._http_clients = HttpClients(route, transport=None, http_client=None, asynchronous=True)

    @staticmethod
    def load() -> None:
        """Import what the first exchange needs, which takes up to a tenth of a second. Any thread may do so."""
        from hestiaos_httpx._library import core

        core()

    @asynccontextmanager
    async def exchange(self, send: Outgoing[R]) -> AsyncIterator[AsyncExchange[R]]:
        """Send a request. If its response is abandoned before its end, the connection is closed.

        Raises the `HestiaError` of a fault, and what `send.response` and its result raise.
        """
        exchange = self._http_clients.for_tasks().exchange(send)
        response: R = await exchange.scope.run(exchange.begin())
        try:
            yield AsyncExchange(exchange, response)
        finally:
            await exchange.scope.run(exchange.close())
