"""The platform as every client's transport: in-process, without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import evolve

from hestiaos_local._platform import Platform, unavailable
from hestiaos_local._streams import Events
from hestiaos_local.storage import StoreError
from hestiaos_proto import (
    STREAM_HEADERS,
    EncodedResponse,
    Request,
    encode_response,
    encode_stream_event,
    parse_request,
)

if TYPE_CHECKING:
    import httpx
else:
    try:
        import httpx
    except ImportError:  # only the successor is installed
        import httpx2 as httpx

__all__ = ["LocalTransport"]


class LocalTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Carries a client's requests to `platform`. Closing it leaves the platform open, which several may share."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._respond(request, request.read())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return self._respond(request, await request.aread())

    def exchange(self, request: Request) -> tuple[int, Iterable[tuple[str, str]], Iterable[bytes]]:
        """What the clients of event loops call: `hestiaos_proto.Transport`."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        result = self._ask(request.method, request.target, headers, request.body)
        if isinstance(result, Generator):
            return 200, STREAM_HEADERS, map(encode_stream_event, result)
        return result.status, result.headers, (result.body,)

    def _respond(self, request: httpx.Request, body: bytes) -> httpx.Response:
        # httpx gives the names of `items()` in lower case, and joins the values of a repeated one.
        headers = dict(request.headers.items())
        result = self._ask(request.method, request.url.raw_path.decode("ascii"), headers, body)
        if isinstance(result, Generator):
            return httpx.Response(200, headers=STREAM_HEADERS, stream=_EventBytes(result))
        return httpx.Response(result.status, headers=result.headers, content=result.body)

    def _ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> EncodedResponse | Events:
        call = parse_request(method, target, headers, body)
        result = self._platform.respond(call)
        if isinstance(result, Generator):
            return result
        if isinstance(result, StoreError):  # here the client has the file, and is told what to do with it
            result = unavailable(result, str(result))
        response = encode_response(call.operation, result)
        return evolve(response, body=b"") if method == "HEAD" else response


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
