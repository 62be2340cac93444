"""One request and its response over httpx: what the core says is sent, what arrives is handed to the core."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

import httpx

from hestiaos_httpx.cancelling import CONNECTED
from hestiaos_httpx.errors import FOREIGN, translate
from hestiaos_httpx.lines import AsyncLines, Line
from hestiaos_proto import RemoteProtocolError, Response, Send, TimedOut

__all__ = ["AsyncExchange", "Exchange", "Trace"]

Trace = Callable[[str, dict[str, Any]], None]
"""httpcore's trace extension."""

AsyncTrace = Callable[[str, dict[str, Any]], Awaitable[None]]


def _request(
    line: Line[httpx.Client] | Line[httpx.AsyncClient], send: Send, trace: Trace | AsyncTrace | None
) -> httpx.Request:
    # A client of our own has nothing to add to a request, and takes two thirds of the time to see that.
    new = line.client.build_request if line.given else httpx.Request
    extensions: dict[str, Any] = {"timeout": httpx.Timeout(send.timeout, read=send.read_timeout).as_dict()}
    if trace is not None:  # httpcore then tells of each of its steps, which takes time
        extensions["trace"] = trace
    return new(
        send.request.method,
        send.request.url,
        headers=send.request.headers,
        content=send.request.body or None,
        extensions=extensions,
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
    def begin(cls, line: Line[httpx.Client], send: Send, trace: Trace | None = None) -> Self:
        """Send the request. Raises `HestiaError` where no response comes."""

        def note(event: str, info: dict[str, Any]) -> None:
            if event.endswith(CONNECTED):
                line.network = info["return_value"]  # to be known before the head, which may not come
            if trace is not None:
                trace(event, info)

        known = line.network is not None and trace is None  # from the exchange before
        try:
            raw = line.client.send(_request(line, send, None if known else note), stream=True, follow_redirects=False)
        except FOREIGN as error:
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
    """As `Exchange`; it has a line of its own until it is closed."""

    def __init__(self, lines: AsyncLines, line: Line[httpx.AsyncClient], send: Send, raw: httpx.Response) -> None:
        self.response = send.response(raw.status_code, raw.headers.raw)
        self._lines = lines
        self._line: Line[httpx.AsyncClient] | None = line
        self._raw = raw
        self._send = send
        assert isinstance(raw.stream, httpx.AsyncByteStream), "an asynchronous client gives an asynchronous stream"
        self._pieces = aiter(raw.stream)
        lines.exchanges.add(self)

    @classmethod
    async def begin(cls, lines: AsyncLines, send: Send) -> Self:
        """As `Exchange.begin`."""
        from anyio import CancelScope

        line = await lines.take(send)
        opened: list[Any] = []  # what has to be closed where the exchange does not begin

        async def trace(event: str, info: dict[str, Any]) -> None:
            if event.endswith((".connect_tcp.complete", ".connect_unix_socket.complete")):
                opened.append(info["return_value"])  # httpcore forgets it where a TLS handshake is cancelled

        try:
            request = _request(line, send, trace)
            request.stream = _Body(send.request.body)
            raw = await line.client.send(request, stream=True, follow_redirects=False)
            opened.append(raw)
            return cls(lines, line, send, raw)
        except BaseException as error:  # a cancellation too; it is raised again
            with CancelScope(shield=True):
                try:
                    for each in opened:
                        await each.aclose()
                finally:
                    await lines.give_back(line, usable=False)
            if isinstance(error, FOREIGN):
                raise translate(error, send) from error
            raise

    async def receive(self) -> bool:
        """As `Exchange.receive`; it ends with the deadline too."""
        try:
            left = self._send.deadline.left()
            data = await (anext(self._pieces, b"") if left is None else self._receive_within(left))
        except httpx.HTTPError as error:
            self.response.connection_lost(translate(error, self._send))
            return False
        except TimedOut as late:
            self.response.connection_lost(late)
            return False
        self.response.receive_data(data)
        return bool(data)

    async def _receive_within(self, seconds: float) -> bytes:
        from anyio import move_on_after

        with move_on_after(seconds):
            return await anext(self._pieces, b"")
        raise self._send.deadline.expired_error()

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
        from anyio import CancelScope

        line, self._line = self._line, None
        if line is None:
            return
        self._lines.exchanges.discard(self)
        usable = False
        with CancelScope(shield=True):
            try:
                await self._raw.aclose()
                usable = True
            finally:  # asyncio's own cancellation knows no shield
                await self._lines.give_back(line, usable=usable)
            # httpx reads through generators inside generators. An iteration that is given up leaves the inner ones to
            # the garbage collector, of which trio warns; running into the closed connection ends every one of them.
            # RuntimeError: a task that reads meanwhile has them, and ends them itself. httpx.StreamError is one too.
            with suppress(httpx.HTTPError, RuntimeError):
                async for _ in self._pieces:
                    pass


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
