"""The platform as an httpx transport: in-process, without a socket, for sync and async clients alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator

import httpx

from hestiaos_local.platform import Platform
from hestiaos_local.store import StoreError
from hestiaos_local.streams import Events
from hestiaos_proto import ServerError, encode_response, encode_stream_event, parse_request
from hestiaos_proto.server_messages import STREAM_HEADERS

__all__ = ["LocalTransport"]


class LocalTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Carries a client's requests to `platform`. Closing it leaves the platform open, which several may share."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._respond(request, request.read())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self._respond(request, await request.aread())

    def _respond(self, request: httpx.Request, body: bytes) -> httpx.Response:
        # httpx gives the names of `items()` in lower case, and joins the values of a repeated one.
        call = parse_request(request.method, request.url.raw_path.decode("ascii"), dict(request.headers.items()), body)
        result = self._platform.respond(call)
        if isinstance(result, Generator):
            return httpx.Response(200, headers=STREAM_HEADERS, stream=_EventBytes(result))
        if isinstance(result, StoreError):  # here the client has the file, and is told what to do with it
            result = ServerError(str(result), code="INTERNAL_ERROR")
        whole = encode_response(call.operation, result)
        return httpx.Response(whole.status, headers=whole.headers, content=whole.body)


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
