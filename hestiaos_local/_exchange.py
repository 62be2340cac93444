"""Exchange a request and a response with a platform in-process, independent of any HTTP library."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import closing, contextmanager
from typing import Self

from attrs import evolve

from hestiaos_local._faults import unavailable
from hestiaos_local._platform import Platform
from hestiaos_local.flow import AsyncEvents, Disconnect, Events, in_thread
from hestiaos_local.storage import StoreError
from hestiaos_proto import (
    STREAM_HEADERS,
    ConnectionLost,
    Control,
    EncodedResponse,
    Request,
    Result,
    ServerRequest,
    StreamEvent,
    encode_comment,
    encode_response,
    encode_stream_event,
    parse_request,
)

__all__ = ["AwaitedPieces", "LocalExchange", "encode_item"]


class LocalExchange:
    """Responds to a client's requests from `platform`. It is a `hestiaos_proto.Transport` and `AsyncTransport`."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def exchange(self, request: Request) -> tuple[int, Iterable[tuple[str, str]], Iterable[bytes]]:
        """Return the response's status, headers and body, whose pieces are produced on demand."""
        with _lost_connections():
            result = self._ask(_parse(request))
        if isinstance(result, Generator):
            return 200, STREAM_HEADERS, _pieces(result)
        return result.status, result.headers, (result.body,)

    async def exchange_async(
        self, request: Request
    ) -> tuple[int, Iterable[tuple[str, str]], Iterable[bytes] | AsyncIterator[bytes]]:
        """Exchange like `exchange`, without blocking the event loop while the platform waits."""
        with _lost_connections():
            result = await self._ask_async(_parse(request))
        if isinstance(result, EncodedResponse):
            return result.status, result.headers, (result.body,)
        return 200, STREAM_HEADERS, _pieces(result) if isinstance(result, Generator) else AwaitedPieces(result)

    def _ask(self, call: ServerRequest) -> EncodedResponse | Events:
        result = self._platform.respond(call)
        return result if isinstance(result, Generator) else _encode(call, result)

    async def _ask_async(self, call: ServerRequest) -> EncodedResponse | Events | AsyncEvents:
        """Respond like `_ask`, without blocking the event loop while the platform waits."""
        if not self._platform.blocking and call.last_event_id is None:
            return self._ask(call)
        result = await self._platform.respond_async(call, in_thread)
        return result if isinstance(result, AsyncIterator) else _encode(call, result)


class AwaitedPieces:
    """The encoded events of a run that is executed on the event loop."""

    def __init__(self, events: AsyncEvents) -> None:
        self._events = events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        with _lost_connections():
            return encode_item(await anext(self._events))

    async def aclose(self) -> None:
        """Close the stream, which cancels the run."""
        await self._events.aclose()


@contextmanager
def _lost_connections() -> Generator[None, None, None]:
    try:
        yield
    except Disconnect as error:
        raise ConnectionLost(str(error)) from error


def encode_item(item: StreamEvent | Control) -> bytes:
    """Encode an event of a stream, or a heartbeat."""
    return encode_stream_event(item) if isinstance(item, StreamEvent) else encode_comment("heartbeat")


def _parse(request: Request) -> ServerRequest:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return parse_request(request.method, request.target, headers, request.body)


def _pieces(events: Events) -> Generator[bytes, None, None]:
    with closing(events), _lost_connections():  # close the run as soon as its stream is closed
        for event in events:
            yield encode_item(event)


def _encode(call: ServerRequest, result: Result | BaseException) -> EncodedResponse:
    if isinstance(result, Disconnect):
        raise result
    if isinstance(result, StoreError):  # in-process, the file is the client's own, so it gets the advice in the message
        result = unavailable(result, str(result))
    response = encode_response(call.operation, result)
    return evolve(response, body=b"") if call.method == "HEAD" else response
