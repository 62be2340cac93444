"""One request and its response over httpx: what the core says is sent, what arrives is handed to the core."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import httpx

from hestiaos_httpx.errors import translate
from hestiaos_httpx.lines import Line
from hestiaos_httpx.loops import in_scope
from hestiaos_proto import RemoteProtocolError, Response, Send, TimedOut

if TYPE_CHECKING:
    from anyio import Semaphore

__all__ = ["AsyncExchange", "Exchange", "Trace"]

Trace = Callable[[str, dict[str, Any]], None]
"""httpcore's trace extension."""

AsyncTrace = Callable[[str, dict[str, Any]], Awaitable[None]]


def _request(
    http: httpx.Client | httpx.AsyncClient, send: Send, trace: Trace | AsyncTrace | None = None
) -> httpx.Request:
    return http.build_request(
        send.request.method,
        send.request.url,
        headers=send.request.headers,
        content=send.request.body or None,
        timeout=httpx.Timeout(send.timeout, read=send.read_timeout),
        extensions=None if trace is None else {"trace": trace},
    )


class Exchange:
    """A response whose head has arrived; `response` is the core's, fed by `receive`.

    The stream under httpx's response is read: the core decompresses, with a bound, and `iter_raw` refuses a response
    that a transport made of bytes, as `httpx.MockTransport` does.
    """

    def __init__(self, send: Send, raw: httpx.Response) -> None:
        self.raw = raw
        self.response = send.response(raw.status_code, raw.headers.raw)
        self._send = send
        assert isinstance(raw.stream, httpx.SyncByteStream), "a synchronous client gives a synchronous stream"
        self._pieces = iter(raw.stream)

    @classmethod
    def begin(cls, line: Line, send: Send, trace: Trace | None = None) -> Self:
        """Send the request. Raises `HestiaError` where no response comes."""
        try:
            raw = line.client.send(_request(line.client, send, trace), stream=True, follow_redirects=False)
        except httpx.HTTPError as error:
            raise translate(error, send) from error
        line.network = raw.extensions.get("network_stream")
        try:
            return cls(send, raw)
        except RemoteProtocolError:
            raw.close()
            raise

    def receive(self) -> bool:
        """Hand one more piece of the body to the core, or the fault that came instead; false at the end."""
        try:
            data = next(self._pieces, b"")
        except httpx.HTTPError as error:
            self.response.connection_lost(translate(error, self._send))
            return False
        self.response.receive_data(data)
        return bool(data)

    def finish(self) -> Response:
        """The response with its whole body."""
        try:
            while self.receive():
                pass
        finally:
            self.close()
        return self.response

    def close(self) -> None:
        """Give the connection back, or end it where something of the body has not been read."""
        self.raw.close()


class AsyncExchange:
    """As `Exchange`."""

    def __init__(self, send: Send, raw: httpx.Response, places: Semaphore) -> None:
        self.response = send.response(raw.status_code, raw.headers.raw)
        self._raw = raw
        self._send = send
        self._places = places
        self._open = True
        assert isinstance(raw.stream, httpx.AsyncByteStream), "an asynchronous client gives an asynchronous stream"
        self._pieces = aiter(raw.stream)

    @classmethod
    async def begin(cls, http: httpx.AsyncClient, places: Semaphore, send: Send) -> Self:
        """As `Exchange.begin`; it holds one of `places` until it is closed."""
        from anyio import move_on_after

        begun: list[Self] = []

        async def work() -> None:
            raw = await _send_async(http, send)
            try:
                begun.append(cls(send, raw, places))
            except RemoteProtocolError:
                await raw.aclose()
                raise

        with move_on_after(send.timeout) as scope:
            await places.acquire()
        if scope.cancelled_caught:
            raise TimedOut(f"every connection to {send.request.origin} stayed in use for too long", request_sent=False)
        try:
            await in_scope(work)
        except BaseException as error:
            for exchange in begun:  # a cancellation came as late as the response
                await exchange.aclose()
            if not begun:
                places.release()
            if isinstance(error, httpx.HTTPError):
                raise translate(error, send) from error
            raise
        return begun[0]

    async def receive(self) -> bool:
        """As `Exchange.receive`."""
        try:
            data = await anext(self._pieces, b"")
        except httpx.HTTPError as error:
            self.response.connection_lost(translate(error, self._send))
            return False
        self.response.receive_data(data)
        return bool(data)

    async def finish(self) -> Response:
        """As `Exchange.finish`."""
        try:
            while await self.receive():
                pass
        finally:
            await self.aclose()
        return self.response

    async def aclose(self) -> None:
        """As `Exchange.close`; a cancellation does not stop it."""
        await in_scope(self._aclose)

    async def _aclose(self) -> None:
        from anyio import CancelScope

        with CancelScope(shield=True):
            await self._raw.aclose()
            if self._open:
                self._open = False
                self._places.release()
            # httpx reads through generators inside generators. An iteration that is given up leaves the inner ones to
            # the garbage collector, of which trio warns; running into the closed connection ends every one of them.
            with suppress(httpx.HTTPError, httpx.StreamError):
                async for _ in self._pieces:
                    pass


async def _send_async(http: httpx.AsyncClient, send: Send) -> httpx.Response:
    """What httpx answers. A cancellation leaves nothing behind, which httpcore alone does not see to."""
    from anyio import CancelScope

    made: list[Any] = []  # httpcore's network stream, where a connection is made
    scope = CancelScope()

    async def trace(event: str, info: dict[str, Any]) -> None:
        stage = event.partition(".")[2]
        if stage in ("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete"):
            made.append(info["return_value"])
            # A connection that is cancelled between its making and its first use keeps its place in the pool for ever.
            # So nothing is cancelled there.
            scope.shield = True
        elif stage in ("start_tls.started", "send_request_headers.started"):
            scope.shield = False

    request = _request(http, send, trace)
    request.stream = _Body(send.request.body)
    try:
        with scope:
            return await http.send(request, stream=True, follow_redirects=False)
    except BaseException:  # a cancellation inside the TLS handshake leaves the socket open; it is raised again
        with CancelScope(shield=True):
            for stream in made:
                await stream.aclose()
        raise
    raise AssertionError("the scope itself is never cancelled")


class _Body(httpx.AsyncByteStream):
    """A request's body. httpx's own is a generator, and trio warns of one that is given up half-way."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._left = [body]

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._left = [self._body]
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()
