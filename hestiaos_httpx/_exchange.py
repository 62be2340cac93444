"""One request and its response over httpx: what the core says is sent, what arrives is handed to the core.

The stream under httpx's response is read: the core decompresses, with a bound, and `iter_raw` refuses a response that a
transport made of bytes, as `httpx.MockTransport` does.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from hestiaos_httpx._errors import translate
from hestiaos_httpx._guard import Guard
from hestiaos_httpx._pool import EXCHANGE, Connection
from hestiaos_httpx._sockets import shut_down
from hestiaos_httpx._steps import Call, Shielded, Steps
from hestiaos_proto import ConnectionLost, HestiaError, Lease, LocalProtocolError, Response, Send, TimedOut

if TYPE_CHECKING:
    from hestiaos_httpx._http_clients import Http

__all__ = ["Exchange"]


class Exchange:
    """Its methods are steps, but for those that never wait. A thread's is ended by `cancel` or a set `event`."""

    def __init__(self, http: Http, send: Send, event: threading.Event | None = None) -> None:
        self.guard = Guard(send, http, event)
        self.lease: Lease[Connection] | None = None
        self.connection: Connection | None = None
        self._http = http
        self._send = send
        self._raw: Any = None  # httpx's response
        self._pieces: Any = None
        self._unclaimed = [None]
        http.exchanges[id(self)] = ref(self, partial(http.exchanges.pop, id(self)))

    def begin(self) -> Steps[Response]:
        """Send the request and wait for the head; for the whole response, unless it is a stream.

        Raises `HestiaError` where none comes.
        """
        try:
            response = yield from self._receive_head()
            if response.stream is None:
                while not response.complete and (yield from self.receive(response)):
                    pass
                yield from self.close()
            return response
        except GeneratorExit:  # nothing can be waited for any more
            self.abandon()
            raise
        except BaseException:  # Ctrl-C and a cancellation too; it is raised again
            yield from self.abort()
            raise

    def _receive_head(self) -> Steps[Response]:
        client, library = self._http.client, self._http.library
        try:
            try:
                request = self._request()
                raw = yield from self._call(partial(client.send, request, stream=True, follow_redirects=False))
            except library.http.HTTPStatusError as error:  # a hook of the given client raised it
                raw = error.response
        except library.errors as error:
            raise self._translated(error) from error
        except RuntimeError as error:  # httpx has no class of its own for a client that was closed
            if self._http.pool is not None or not client.is_closed:
                raise
            raise LocalProtocolError("the http_client that was given is closed") from error
        self._raw = raw
        headers: Iterable[tuple[bytes, bytes]] = raw.headers.raw
        pieces = raw.stream
        if self._http.pool is None and raw.is_stream_consumed:  # by a hook of the given client, or it came whole
            headers = [(name, value) for name, value in headers if name.lower() != b"content-encoding"]
            try:
                pieces = [raw.content]
            except library.http.ResponseNotRead:
                pieces = []
        if not self._http.asynchronous:
            self._pieces = iter(pieces)
        else:
            self._pieces = aiter(pieces) if hasattr(pieces, "__aiter__") else library.body(*pieces)
        return self._send.response(raw.status_code, headers)

    def _request(self) -> Any:
        http, send = self._http, self._send
        # A client of our own has nothing to add to a request, and takes two thirds of the time to see that.
        new = http.client.build_request if http.pool is None else http.library.http.Request
        timeout = http.library.http.Timeout(send.timeout, read=send.read_timeout)
        request = new(
            send.request.method,
            send.request.url,
            headers=send.request.headers,
            content=send.request.body or None,
            extensions={"timeout": timeout.as_dict(), EXCHANGE: ref(self)},
        )
        if http.asynchronous:
            request.stream = http.library.body(send.request.body)
        return request

    def receive(self, response: Response) -> Steps[bool]:
        """Hand one more piece of the body to the core, or the fault that came instead; false at the end."""
        if not self.is_ours():
            raise LocalProtocolError("the stream belongs to the process before the fork: start another in this")
        try:
            data = yield from self._call(partial(anext if self._http.asynchronous else next, self._pieces, None))
        except HestiaError as error:
            response.connection_lost(error)
            return False
        except self._http.library.errors as error:
            response.connection_lost(self._translated(error))
            return False
        if data != b"":  # to the core that would be the end; a transport may give one midway, as httpx's own mock does
            response.receive_data(data or b"")
        return data is not None

    def _call(self, function: Callable[[], Any]) -> Steps[Any]:
        # Our own connections look at their guard themselves, wherever they wait.
        try:
            result = yield Call(function, self.guard if self._http.pool is None else None)
        except TimedOut:
            if self._http.closed:
                raise _closed() from None
            raise
        if self._http.closed:
            raise _closed()
        return result

    def _translated(self, error: Exception) -> HestiaError:
        """The exception that a caller sees."""
        if self._http.closed:
            return _closed()
        connection = self.connection
        # A mock, or a tracer, may raise before anything is connected.
        connecting = connection is not None and connection.network.begun and not connection.network.established
        peer = self._http.peer if connecting else None
        told = translate(error, self._send, self._http.library.http, peer=peer)
        if isinstance(told, ConnectionLost) and connection is not None:
            told.stale = connection.served and not connection.network.received
        return told

    def close(self) -> Steps[None]:
        """Give the connection back, or close it where the body was not read whole. A second time does nothing."""
        pool, raw, self._raw = self._http.pool, self._raw, None
        try:
            if raw is not None and self.is_ours():
                yield Call(raw.aclose if self._http.asynchronous else raw.close)
        except BaseException:  # Ctrl-C and a cancellation too; it is raised again
            self.abandon()
            raise
        if pool is not None:
            pool.finish(self, keep=self.is_ours())

    def abort(self) -> Steps[None]:
        """Close the connection at once; a cancellation does not stop it."""
        raw, self._raw, pieces, self._pieces = self._raw, None, self._pieces, None
        self.abandon()  # before anything that could be cancelled once more (encode/httpx#3782)
        if not self.is_ours():
            return
        if raw is not None and self._http.pool is None:
            yield Shielded(raw.aclose if self._http.asynchronous else raw.close)
        if pieces is not None and self._http.asynchronous:
            yield Shielded(partial(self._drain, pieces))

    async def _drain(self, pieces: AsyncIterator[bytes]) -> None:
        # httpx reads through generators inside generators. An iteration that is given up leaves the inner ones to the
        # garbage collector, of which trio warns (encode/httpcore#1019); reading on from the closed connection ends each
        # of them. RuntimeError: a task that reads meanwhile has them, and ends them itself.
        with suppress(*self._http.library.errors, RuntimeError):
            async for _ in pieces:
                pass

    def is_ours(self) -> bool:
        """As `Http.is_ours`."""
        return self._http.is_ours()

    def abandon(self) -> None:
        """Close a connection of our own, without waiting for anything."""
        if self._http.pool is not None:
            self._http.pool.finish(self, keep=False)

    def cancel(self) -> None:
        """End it, from any thread, whatever it waits for."""
        self.guard.cancel()
        if not self.is_ours():
            return
        if self.connection is not None:
            if self.claim():
                shut_down(self.connection.network.socket)
        elif self._http.pool is None and self._raw is not None and not self._http.asynchronous:
            extensions = self._raw.extensions
            if extensions.get("http_version") != b"HTTP/2":  # whose connection others use too
                network = extensions.get("network_stream")
                shut_down(network and network.get_extra_info("socket"))

    def claim(self) -> bool:
        """True once: for whoever ends the exchange first, its reader or its canceller."""
        try:
            self._unclaimed.pop()
        except IndexError:
            return False
        return True


def _closed() -> LocalProtocolError:
    return LocalProtocolError("the client was closed in the middle of this")
