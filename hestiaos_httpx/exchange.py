"""One request and its response over httpx: what the core says is sent, what arrives is handed to the core."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import httpx

from hestiaos_httpx.errors import translate
from hestiaos_proto import Response, Send

__all__ = ["AsyncExchange", "Exchange", "Trace"]

Trace = Callable[[str, dict[str, Any]], None]
"""httpcore's trace extension."""


def _request(http: httpx.Client | httpx.AsyncClient, send: Send, trace: Trace | None = None) -> httpx.Request:
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
    def begin(cls, http: httpx.Client, send: Send, trace: Trace | None = None) -> Self:
        """Send the request. Raises `HestiaError` where no response comes."""
        try:
            return cls(send, http.send(_request(http, send, trace), stream=True, follow_redirects=False))
        except httpx.HTTPError as error:
            raise translate(error, send.request) from error

    def receive(self) -> bool:
        """Hand one more piece of the body to the core, or the fault that came instead; false at the end."""
        try:
            data = next(self._pieces, b"")
        except httpx.HTTPError as error:
            self.response.connection_lost(translate(error, self._send.request))
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

    def __init__(self, send: Send, raw: httpx.Response) -> None:
        self.response = send.response(raw.status_code, raw.headers.raw)
        self._raw = raw
        self._send = send
        assert isinstance(raw.stream, httpx.AsyncByteStream), "an asynchronous client gives an asynchronous stream"
        self._pieces = aiter(raw.stream)

    @classmethod
    async def begin(cls, http: httpx.AsyncClient, send: Send) -> Self:
        """As `Exchange.begin`."""
        try:
            return cls(send, await http.send(_request(http, send), stream=True, follow_redirects=False))
        except httpx.HTTPError as error:
            raise translate(error, send.request) from error

    async def receive(self) -> bool:
        """As `Exchange.receive`."""
        try:
            data = await anext(self._pieces, b"")
        except httpx.HTTPError as error:
            self.response.connection_lost(translate(error, self._send.request))
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
        from anyio import CancelScope

        with CancelScope(shield=True):
            await self._raw.aclose()
            # httpx reads through generators inside generators. An iteration that is given up leaves the inner ones to
            # the garbage collector, of which trio warns; running into the closed connection ends every one of them.
            with suppress(httpx.HTTPError, httpx.StreamError):
                async for _ in self._pieces:
                    pass
