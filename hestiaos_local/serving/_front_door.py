"""The front door for clients of OpenAI's API: `/v1/chat/completions` and `/v1/models`, through governance."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any
from urllib.parse import urlsplit

from hestiaos_local._faults import unavailable
from hestiaos_local._platform import Platform
from hestiaos_local.flow import Caller, Disconnect
from hestiaos_local.openai import (
    ChatCompletion,
    ChunkEncoder,
    encode_completion,
    encode_error,
    encode_models,
    parse_chat_completion,
)
from hestiaos_local.serving._resources import COMPLETIONS, MODELS
from hestiaos_local.storage import StoreError
from hestiaos_proto import (
    STREAM_HEADERS,
    Control,
    EncodedResponse,
    NotFound,
    ResponseHead,
    ServerError,
    ServerRequest,
    StatusError,
    encode_response,
)

__all__ = ["PATHS", "CompletionPieces", "FrontDoor", "corrected", "is_front_door", "refuse"]

PATHS = frozenset({COMPLETIONS, MODELS})
"""The paths of OpenAI's API."""

_PREFIX = "/v1"
_WITHOUT_PREFIX = frozenset(path.removeprefix(_PREFIX) for path in PATHS)  # a client's base URL lacks it
_TRACE_ID = "X-Hestia-Trace-Id"

_log = logging.getLogger("hestiaos_local")


class CompletionPieces(AsyncIterator[EncodedResponse | ResponseHead | bytes]):
    """A streamed completion, an asynchronous iterator over the head, pieces of the body, and `b""` at the end.

    The head is sent with the first output, so that an error before it still has its own status: the only item is then
    a complete response. If the first output takes long, a `heartbeat` sends the head, so that clients do not time out.
    """

    def __init__(self, items: AsyncGenerator[Any, None], encoder: ChunkEncoder, trace_id: str) -> None:
        self._items = items
        self._encoder = encoder
        self._head = [ResponseHead(200, (*STREAM_HEADERS, (_TRACE_ID, trace_id)))]  # until it is sent
        self._pieces = self._iterate()

    async def __anext__(self) -> EncodedResponse | ResponseHead | bytes:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Close the stream, which cancels the work."""
        await self._pieces.aclose()
        await self._items.aclose()  # `_iterate` does not close them if it has not started

    def heartbeat(self) -> tuple[ResponseHead | Control, ...]:
        """Return what keeps the connection alive: a comment, preceded by the head if it has not been sent yet."""
        return (*self._take_head(), Control.HEARTBEAT)

    def failed(self, error: StatusError) -> tuple[EncodedResponse | bytes, ...]:
        """Return the items that end the stream with an error."""
        return (refuse(error),) if self._head else (self._encoder.fail(error), b"")

    def _take_head(self) -> list[ResponseHead]:
        head, self._head = self._head, []
        return head

    async def _iterate(self) -> AsyncGenerator[EncodedResponse | ResponseHead | bytes, None]:
        async with aclosing(self._items):
            try:
                start = self._encoder.start()
                async for output in self._items:
                    for head in self._take_head():
                        yield head
                    if piece := start + self._encoder.send(output):
                        yield piece
                    start = b""
                last: tuple[EncodedResponse | bytes, ...] = (b"",)
            except Exception as error:
                last = self.failed(_status_error(error))
            for item in last:
                yield item


class FrontDoor:
    """Responds to the requests of OpenAI's API."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def respond(
        self, call: ServerRequest, caller: Caller, key: str | None = None
    ) -> EncodedResponse | CompletionPieces | Disconnect:
        """Return the response to a request that was made with the API key of this name."""
        try:
            self._refuse_a_loop(call)
            if call.resource == MODELS:
                return _whole(200, encode_models(await self._platform.models(), created=int(time.time())))
            return await self._complete(parse_chat_completion(call.body), caller, key)
        except Disconnect as error:
            return error
        except Exception as error:
            return refuse(_status_error(error))

    def _refuse_a_loop(self, call: ServerRequest) -> None:
        """Raise if the request was sent by this platform's own relay, which would call itself endlessly."""
        via = call.headers.get("via", "")
        if any(name in via for name in self._platform.gateways):
            message = "the URL of the model server is this platform's own: it must be the URL of a model server"
            raise ServerError(message, status_code=508, code="LOOP_DETECTED")

    async def _complete(
        self, request: ChatCompletion, caller: Caller, key: str | None
    ) -> EncodedResponse | CompletionPieces:
        async with AsyncExitStack() as opened:
            items = self._platform.complete(request.work(), caller, key=key)
            opened.push_async_callback(items.aclose)
            trace_id: str = (await anext(items)).trace_id
            name, created = f"chatcmpl-{trace_id}", int(time.time())
            if not request.stream:
                outputs = [output async for output in items]
                body = encode_completion(outputs, id=name, model=request.model, created=created)
                return _whole(200, body, trace_id)
            encoder = ChunkEncoder(id=name, model=request.model, created=created, include_usage=request.include_usage)
            opened.pop_all()  # closed by the consumer from now on
            return CompletionPieces(items, encoder, trace_id)


def is_front_door(target: str) -> bool:
    """Return whether a request is for OpenAI's API: its path is under `/v1`, or one of its paths without that."""
    path = urlsplit(target).path
    return f"{path}/".startswith(f"{_PREFIX}/") or path in _WITHOUT_PREFIX


def corrected(error: StatusError, target: str) -> StatusError:
    """Return the refusal of a path of OpenAI's API without `/v1`, which says so; any other error as it is."""
    if error.code != "UNKNOWN_OPERATION" or urlsplit(target).path not in _WITHOUT_PREFIX:
        return error
    return NotFound(f"{error.message}: the client's base URL must end with {_PREFIX}", code=error.code)


def refuse(error: StatusError) -> EncodedResponse:
    """Encode an error in the format of OpenAI's API."""
    headers = encode_response("", error).headers
    status, body = encode_error(error)
    described = tuple(header for header in headers if header[0] != "Content-Length")
    if error.trace_id is not None:
        described = (*described, (_TRACE_ID, error.trace_id))
    return EncodedResponse(status, (*described, ("Content-Length", str(len(body)))), body)


def _whole(status: int, body: bytes, trace_id: str | None = None) -> EncodedResponse:
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if trace_id is not None:
        headers.append((_TRACE_ID, trace_id))
    return EncodedResponse(status, tuple(headers), body)


def _status_error(error: Exception) -> StatusError:
    """Return the error for the client, and log the cause of a failure."""
    if isinstance(error, StoreError):
        _log.error("a completion failed: %s", error)
        return unavailable(error, "the server's store is unavailable")
    if isinstance(error, StatusError):
        return error
    _log.error("a completion failed", exc_info=error)
    return ServerError("the server failed", code="INTERNAL_ERROR")
