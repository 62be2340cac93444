"""The platform as every client's transport: in-process, without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING

from hestiaos_local._exchange import LocalExchange
from hestiaos_local._platform import Events
from hestiaos_proto import STREAM_HEADERS, encode_stream_event

if TYPE_CHECKING:
    import httpx
else:
    try:
        import httpx
    except ImportError:  # only the successor is installed
        import httpx2 as httpx

__all__ = ["LocalTransport"]


class LocalTransport(LocalExchange, httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Carries a client's requests to `platform`. Closing it leaves the platform open, which several may share."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._respond(request, request.read())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self._respond(request, await request.aread())

    def _respond(self, request: httpx.Request, body: bytes) -> httpx.Response:
        # httpx gives the names of `items()` in lower case, and joins the values of a repeated one.
        headers = dict(request.headers.items())
        result = self._ask(request.method, request.url.raw_path.decode("ascii"), headers, body)
        if isinstance(result, Generator):
            return httpx.Response(200, headers=STREAM_HEADERS, stream=_EventBytes(result))
        return httpx.Response(result.status, headers=result.headers, content=result.body)


class _EventBytes(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A stream's events as bytes, each made when it is asked for."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        return map(encode_stream_event, self._events)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        from anyio.lowlevel import checkpoint

        for data in self:
            await checkpoint()  # where the reader can be cancelled, and other tasks get their turn
            yield data

    def close(self) -> None:
        self._events.close()

    async def aclose(self) -> None:
        self._events.close()
