"""Serve a platform as an ASGI application (ASGI 3.0, "HTTP & WebSocket" 2.x and "Lifespan")."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

from anyio import Lock, create_task_group

from hestiaos_local.flow import Disconnect
from hestiaos_local.serving._access import NOT_LOCAL, Headers
from hestiaos_local.serving._clients import respond_while_there
from hestiaos_local.serving._resources import SERVED
from hestiaos_local.serving._service import Service, ServiceResponse
from hestiaos_local.serving._streams import EventSender
from hestiaos_proto import (
    MAX_BODY_SIZE,
    STREAM_HEADERS,
    Control,
    EncodedResponse,
    ResponseHead,
    ServerRequest,
    StatusError,
    StreamEvent,
    check_body,
    encode_comment,
    encode_response,
    encode_stream_event,
    error_events,
    parse_body,
    parse_head,
    too_large,
)

__all__ = ["ASGIApplication"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HEARTBEAT = encode_comment("heartbeat")

_log = logging.getLogger("hestiaos_local")


class ASGIApplication:
    """The ASGI application of the `Service` that `open_service` returns, called at startup or at the first request.

    The service is closed at shutdown. Framing, the `Server` header and timeouts of clients are up to the ASGI server.
    """

    def __init__(self, open_service: Callable[[], Service]) -> None:
        self._open = open_service
        self._opened: Service | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await _Exchange(self._service(), scope, receive, send).serve()
        else:
            raise ValueError(f"HestiaOS supports ASGI's scopes http and lifespan, not {scope['type']}")

    def _service(self) -> Service:
        if self._opened is None:
            self._opened = self._open()
            self._opened.platform.prepare()
        return self._opened

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self._service()
        except Exception as error:  # the ASGI server logs the message and exits
            await send({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
            return
        service = self._service()
        async with create_task_group() as tasks:
            tasks.start_soon(service.share_metrics)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            tasks.cancel_scope.cancel()
        self._opened = None
        service.platform.close()
        await send({"type": "lifespan.shutdown.complete"})


class _Exchange:
    """One request and its response. It is the `Client` of the response."""

    ended = False  # a disconnect is always an exception
    send_raises = False  # `send` should raise after a disconnect (ASGI, "HTTP" 2.4), but uvicorn's does not

    def __init__(self, service: Service, scope: Scope, receive: Receive, send: Send) -> None:
        self._service = service
        self._scope = scope
        self._receive = receive
        self._send = send
        self._sending = Lock()
        self._encoder = _EventEncoder()
        self._begun = False

    async def serve(self) -> None:
        """Respond to the request."""
        request = parse_head(self._scope["method"], _target(self._scope), _headers(self._scope), SERVED)
        try:
            response = await self._respond(request)
            headers = self._service.access.headers(request)
            if isinstance(response, (Generator, AsyncIterator)):
                await EventSender(self, self._encoder, self._service, headers, request).send(response)
            elif isinstance(response, Disconnect):
                await self._cut()
            else:
                if not isinstance(response, EncodedResponse):
                    response = encode_response(request.operation, response)
                await self._begin(response.status, (*response.headers, *headers))
                await self._send_body(b"" if request.method == "HEAD" else response.body, more=False)
        except OSError:  # the client has disconnected
            pass

    async def receive(self) -> int:
        """Receive a message, and return the number of its bytes. Raises `OSError` once the client has disconnected."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError("the client has disconnected")
        return len(message.get("body", b""))

    async def send(self, data: bytes) -> None:
        """Send a piece of a stream, and end the response if the encoder has reached the end."""
        async with self._sending:
            if not self._begun:
                await self._begin(self._encoder.head.status, self._encoder.head.headers)
            await self._send_body(data, more=not self._encoder.ended)

    async def keep_alive(self, data: bytes) -> None:
        """Send a heartbeat, unless something else is being sent."""
        if not self._sending.locked():
            await self.send(data)

    async def _respond(self, request: ServerRequest) -> ServiceResponse:
        decided = self._decide(request)
        if isinstance(decided, StatusError):
            return await self._refuse(request, decided)
        if decided is not None:
            return decided
        body = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ConnectionAbortedError("the client has disconnected")
            body += message.get("body", b"")
            if len(body) > MAX_BODY_SIZE:
                return await self._refuse(request, too_large(MAX_BODY_SIZE))
            if not message.get("more_body", False):
                break
        return await respond_while_there(self._service, parse_body(request, bytes(body)), self)

    async def _refuse(self, request: ServerRequest, error: StatusError) -> ServiceResponse:
        refused = ServerRequest("", {}, request.headers, error, method=request.method, target=request.target)
        return await self._service.respond(refused)  # the service counts refusals too

    def _decide(self, request: ServerRequest) -> StatusError | EncodedResponse | None:
        """Return the refusal of or the response to a request whose head suffices for it, else None."""
        if self._service.access.keys is None and not _is_local(self._scope.get("client")):
            return StatusError(NOT_LOCAL, status_code=421)
        length = request.headers.get("content-length", "0" if _has_no_body(request) else "")
        size = int(length) if length.isdecimal() else None
        return (
            self._service.access.judge(request) or request.refusal or check_body(request.headers, size, MAX_BODY_SIZE)
        )

    async def _cut(self) -> None:
        """Make the ASGI server close the connection, by ending the application in the middle of a response.

        There is no other way: an application that ends before its response causes a 500. The shortest response with a
        middle declares one byte and does not send it.
        """
        await self._begin(200, (("Content-Length", "1"),))
        await self._send_body(b"", more=True)  # the server may delay the head until then (ASGI, "Response Start")

    async def _begin(self, status: int, headers: Headers) -> None:
        self._begun = True
        encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers if name != "Server"]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


class _EventEncoder:
    """Encodes the events of a stream as `ServerConnection` does, without HTTP's framing."""

    def __init__(self) -> None:
        self.head = ResponseHead(200, STREAM_HEADERS)
        self.ended = False
        self._last: StreamEvent | None = None
        self._headed = False

    def send(self, item: object, headers: Headers = ()) -> bytes:
        """Encode like `ServerConnection.send`, but store the head of the response in `head`."""
        if isinstance(item, EncodedResponse):
            self.head, item, self.ended = ResponseHead(item.status, item.headers), item.body, True
        if isinstance(item, ResponseHead):
            self.head = item
            item = None
        if not self._headed:
            self._headed = True
            self.head = ResponseHead(self.head.status, (*self.head.headers, *headers))
        if isinstance(item, StreamEvent):
            return self._encode([item])
        if isinstance(item, BaseException):
            return self._encode(error_events(item, self._last))
        if isinstance(item, bytes):
            self.ended = self.ended or not item
            return item
        return _HEARTBEAT if item is Control.HEARTBEAT else b""

    def _encode(self, events: Iterable[StreamEvent]) -> bytes:
        data = b""
        for self._last in events:
            data += encode_stream_event(self._last)
            self.ended = self._last.type == "done"
        return data


def _target(scope: Scope) -> str:
    path = scope.get("raw_path") or quote(scope["path"]).encode()
    root = quote(scope.get("root_path", ""))
    target: str = path.decode("latin-1").removeprefix(root)
    return target + ("?" + scope["query_string"].decode("latin-1") if scope.get("query_string") else "")


def _headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _has_no_body(request: ServerRequest) -> bool:
    return "transfer-encoding" not in request.headers and request.method in ("GET", "HEAD", "DELETE")


def _is_local(client: Any) -> bool:
    """Return whether a client is on this machine. One connected to a Unix socket is, and has no address."""
    try:
        return not client or not client[0] or ip_address(client[0]).is_loopback
    except ValueError:
        return False
