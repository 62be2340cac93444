"""HestiaOS over asyncio's own transports and the core's own HTTP/1.1: `AsyncioClient`. No httpx."""

from hestiaos_asyncio._client import AsyncioClient
from hestiaos_asyncio._executor import AsyncioEventStream

__all__ = ["AsyncioClient", "AsyncioEventStream"]


def __dir__() -> list[str]:
    return sorted(__all__)
