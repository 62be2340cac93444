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
    ResponseHead,
    ServerError,
    ServerRequest,
    StatusError,
    encode_response,
)

__all__ = ["PATHS", "CompletionPieces", "FrontDoor", "is_front_door", "refuse"]

PATHS = frozenset({COMPLETIONS, MODELS})
"""What it answers."""

_TRACE_ID = "X-Hestia-Trace-Id"

_log = logging.getLogger("hestiaos_local")


class CompletionPieces(AsyncIterator[EncodedResponse | ResponseHead | bytes]):
    """A streamed completion, an asynchronous iterator: its head, pieces of its body, and `b""` where it ends.

    The head comes with the first output. What fails before has a status of its own: then the one item is the whole
    response that says it. Where that output is long in coming, a `heartbeat` brings the head, so that nobody gives up.
    """

    def __init__(self, items: AsyncGenerator[Any, None], encoder: ChunkEncoder, trace_id: str) -> None:
        self._items = items
        self._encoder = encoder
        self._head = [ResponseHead(200, (*STREAM_HEADERS, (_TRACE_ID, trace_id)))]  # until it is sent
        self._pieces = self._iterate()

    async def __anext__(self) -> EncodedResponse | ResponseHead | bytes:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Close it, and so cancel the work."""
        await self._pieces.aclose()
        await self._items.aclose()  # it may not have been iterated over

    def heartbeat(self) -> tuple[ResponseHead | Control, ...]:
        """What shows that the connection is alive: a comment, and before it the head, if that was not sent yet."""
        return (*self._take_head(), Control.HEARTBEAT)

    def failed(self, error: StatusError) -> tuple[EncodedResponse | bytes, ...]:
        """What ends it where it cannot go on."""
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
    """Answers the requests of its paths."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    async def respond(
        self, call: ServerRequest, caller: Caller, key: str | None = None
    ) -> EncodedResponse | CompletionPieces | Disconnect:
        """The response to a request of the API key of this name."""
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
        """Raise for a request of this platform's own relay, whose model server is then this platform, without end."""
        via = call.headers.get("via", "")
        if any(name in via for name in self._platform.gateways):
            message = "the URL of the model server is this platform's own address: it must be that of a model server"
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
            opened.pop_all()  # it is closed by the one that iterates over it
            return CompletionPieces(items, encoder, trace_id)


def is_front_door(target: str) -> bool:
    """Whether a request's target is under `/v1`, where clients of OpenAI's API ask: there may be no such path."""
    return f"{urlsplit(target).path}/".startswith("/v1/")


def refuse(error: StatusError) -> EncodedResponse:
    """The response that tells an error in OpenAI's form."""
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
    """The error for the client; the log says why the server failed."""
    if isinstance(error, StoreError):
        _log.error("a completion failed: %s", error)
        return unavailable(error, "the server's store cannot be used now")
    if isinstance(error, StatusError):
        return error
    _log.error("a completion failed", exc_info=error)
    return ServerError("the server failed", code="INTERNAL_ERROR")
