"""HestiaOS over httpx: `Client` for threads, `AsyncClient` for asyncio and trio."""

from hestiaos_httpx._clients import AsyncClient, Client
from hestiaos_httpx._executor import AsyncEventStream, EventStream

__all__ = ["AsyncClient", "AsyncEventStream", "Client", "EventStream"]


def __dir__() -> list[str]:
    return sorted(__all__)
