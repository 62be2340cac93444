"""HestiaOS over httpx: `Client` for threads, `AsyncClient` for asyncio and trio."""

from hestiaos_httpx._clients import AsyncClient, Client
from hestiaos_httpx._connections import AsyncConnections, AsyncExchange
from hestiaos_httpx._executor import AsyncEventStream, EventStream
from hestiaos_httpx._limits import Limits

__all__ = ["AsyncClient", "AsyncConnections", "AsyncEventStream", "AsyncExchange", "Client", "EventStream", "Limits"]


def __dir__() -> list[str]:
    return sorted(__all__)
