"""HestiaOS over httpx: `Client` for threads, `AsyncClient` for asyncio and trio."""

from hestiaos_httpx.clients import AsyncClient, Client
from hestiaos_httpx.streams import AsyncEventStream, EventStream

__all__ = ["AsyncClient", "AsyncEventStream", "Client", "EventStream"]
