"""mcp's reading of a stream: httpx2's event source and a message of pydantic. It reads JSON-RPC of the same size."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2
from mcp.types import jsonrpc_message_adapter

from benchmarks.recording import pieces


@asynccontextmanager
async def decode(events: int, piece: int) -> AsyncIterator[Callable[[], Awaitable[int]]]:
    """Bytes to messages, as its streamable HTTP client reads a response; here it is one in memory."""
    data = pieces(events, piece, "mcp")

    async def body() -> AsyncIterator[bytes]:
        for one in data:
            yield one

    async def work() -> int:
        count = 0
        headers = {"Content-Type": "text/event-stream"}
        response = httpx2.Response(
            200, headers=headers, content=body(), request=httpx2.Request("POST", "http://replay")
        )
        async for event in httpx2.EventSource(response):
            jsonrpc_message_adapter.validate_json(event.data, by_name=False)
            count += 1
        return count

    yield work
