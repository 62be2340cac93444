"""An in-process transport to a platform for every client, without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hestiaos_local._exchange import AwaitedPieces, LocalExchange, encode_item
from hestiaos_local.flow import AsyncEvents, Disconnect, Events
from hestiaos_proto import STREAM_HEADERS, EncodedResponse, ServerRequest, parse_request

if TYPE_CHECKING:
    import httpx
else:
    try:
        import httpx
    except ImportError:  # only the successor is installed
        import httpx2 as httpx

__all__ = ["LocalTransport"]


class LocalTransport(LocalExchange, httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Passes a client's requests to `platform`. Closing it does not close the platform, which may be shared."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with _httpx_errors():
            return _response(self._ask(_parse(request, request.read())))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        with _httpx_errors():
            return _response(await self._ask_async(_parse(request, await request.aread())))


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Translate the end of a connection to the exception of httpx's own transports."""
    try:
        yield
    except Disconnect as error:
        raise httpx.ReadError(str(error)) from error


def _parse(request: httpx.Request, body: bytes) -> ServerRequest:
    # `items()` of httpx has the names in lower case, and joins the values of repeated headers.
    return parse_request(request.method, request.url.raw_path.decode("ascii"), dict(request.headers.items()), body)


def _response(result: EncodedResponse | Events | AsyncEvents) -> httpx.Response:
    if isinstance(result, EncodedResponse):
        return httpx.Response(result.status, headers=result.headers, content=result.body)
    stream = _EventBytes(result) if isinstance(result, Generator) else _AwaitedEventBytes(result)
    return httpx.Response(200, headers=STREAM_HEADERS, stream=stream)


class _EventBytes(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The encoded events of a stream, produced on demand."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def __iter__(self) -> Iterator[bytes]:
        with _httpx_errors():
            yield from map(encode_item, self._events)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        from anyio.lowlevel import checkpoint

        for data in self:
            await checkpoint()  # lets the reader be cancelled, and other tasks run
            yield data

    def close(self) -> None:
        self._events.close()

    async def aclose(self) -> None:
        self._events.close()


class _AwaitedEventBytes(AwaitedPieces, httpx.AsyncByteStream):
    """The encoded events of a run that is executed on the event loop."""

    async def __anext__(self) -> bytes:
        with _httpx_errors():
            return encode_item(await anext(self._events))
