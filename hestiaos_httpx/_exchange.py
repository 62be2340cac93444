"""One request and its response over httpx.

The stream of httpx's response is read directly: the core decompresses it with a limit, and `iter_raw` refuses a
response that a transport made from bytes, as `httpx.MockTransport` does.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import ref

from hestiaos_httpx._errors import translate
from hestiaos_httpx._messages import Outgoing, Received
from hestiaos_httpx._pool import EXCHANGE, Connection
from hestiaos_httpx._scopes import Scope, Steps, shut_down
from hestiaos_proto import ConnectionLost, HestiaError, Lease, LocalProtocolError

if TYPE_CHECKING:
    from hestiaos_httpx._http import Http

__all__ = ["Exchange"]

R = TypeVar("R", bound=Received)


class Exchange(Generic[R]):
    """An exchange of a thread or of a task, depending on `http`. Setting `event` ends that of a thread."""

    def __init__(self, http: Http, send: Outgoing[R], event: threading.Event | None = None) -> None:
        self.http = http
        self.scope: Scope = http.scope(send, http, event)
        self.lease: Lease[Connection] | None = None
        self._send = send
        # Our own connections look at the scope themselves, wherever they wait.
        self._call = self.scope.bounded_call if http.pool is None else self.scope.call
        self._raw: Any = None  # httpx's response
        self._response: R | None = None
        self._pieces: Any = None
        self._whole = False  # the response has been read to its end
        self._unclaimed = {None: True}
        http.exchanges[id(self)] = ref(self, partial(http.exchanges.pop, id(self)))

    @property
    def connection(self) -> Connection | None:
        """The connection in use; always `None` over a client of the user."""
        return None if self.lease is None else self.lease.connection

    def begin(self) -> Steps[R]:
        """Wait for the whole response, or for the head of a stream. Raises `HestiaError` if there is none."""
        try:
            self._response = response = yield from self._receive_head()
            if response.stream is None:
                while not response.complete and (yield from self.receive(self._send.read_timeout)):
                    pass
                yield from self.close()
            return response
        except GeneratorExit:  # the task has ended, nothing can be awaited
            self.release(keep=False)
            raise
        except BaseException:  # Ctrl-C and a cancellation too
            yield from self.close()
            raise

    def _receive_head(self) -> Steps[R]:
        client, library = self.http.client, self.http.library
        if client.is_closed:  # httpx does not have a specific exception for this
            raise LocalProtocolError("the http_client that was given is closed")
        try:
            request = self.http.new_request(self._send, {EXCHANGE: ref(self)})
            send = partial(client.send, request, stream=True, follow_redirects=False)
            self._raw = raw = yield from self._carry(send)
            self._check_open()
        except library.http.HTTPStatusError as error:  # a hook of the given client raised it
            self._raw = raw = error.response
        except library.errors as error:
            raise self._translated(error) from error
        headers: Iterable[tuple[bytes, bytes]] = raw.headers.raw
        pieces: Any = raw.stream
        if self.http.pool is None and raw.is_stream_consumed:  # by a hook of the given client, or it arrived whole
            headers = [(name, value) for name, value in headers if name.lower() != b"content-encoding"]
            with suppress(library.http.ResponseNotRead):
                pieces = [raw.content]
        if not self.scope.asynchronous:
            self._pieces = iter(pieces)
        else:
            self._pieces = aiter(pieces) if hasattr(pieces, "__aiter__") else library.body(*pieces)
        return self._send.response(raw.status_code, headers)

    def receive(self, timeout: float) -> Steps[bool]:
        """Pass the next piece of the body, or the fault instead, to the response. Return False at the end.

        Waits for `timeout` seconds.
        """
        response = self._response
        assert response is not None, "a body is received after its head"
        self.scope.read_timeout = timeout
        if not self.http.is_ours():
            raise LocalProtocolError("the stream belongs to the process before the fork: start another in this")
        try:
            data = yield from self._carry(anext if self.scope.asynchronous else next, self._pieces, None)
            self._check_open()
        except HestiaError as error:
            response.connection_lost(error)
            return False
        except self.http.library.errors as error:
            response.connection_lost(self._translated(error))
            return False
        self._whole = data is None
        if data != b"":  # a response takes b"" as the end, but a transport may give it earlier, as httpx's mock does
            response.receive_data(data or b"")
        return data is not None

    def _carry(self, function: Callable[..., Any], *arguments: Any) -> Steps[Any]:
        """Call a function of httpx. An end by the caller or by the deadline is raised as such."""
        try:
            return (yield from self._call(function, *arguments))
        except OSError:
            self._check_open()
            self._send.deadline.check()
            raise

    def _check_open(self) -> None:
        if self.http.closed:
            raise self._closed()

    def _closed(self) -> LocalProtocolError:
        waited = self.lease is not None and (self.connection is None or not self.connection.network.established)
        what = "while the call waited for a connection" if waited else "during the call"
        return LocalProtocolError(f"the client was closed {what}")

    def _translated(self, error: Exception) -> HestiaError:
        """Return the exception for the caller."""
        if self.http.closed:
            return self._closed()
        connection, peer, pool = self.connection, None, self.http.pool
        if connection is not None and pool is not None:
            # A mock, or a tracer, may raise before anything is connected.
            connecting = connection.network.begun and not connection.network.established
            peer = pool.route.peer if connecting else None
        translated = translate(error, self._send, self.http.library.http, peer=peer)
        if isinstance(translated, ConnectionLost) and connection is not None:
            translated.stale = connection.served and not connection.network.received
        return translated

    def close(self) -> Steps[None]:
        """Release the connection, or close it if the response was not read to its end. It cannot be cancelled.

        A second call does nothing.
        """
        raw, self._raw, pieces, self._pieces = self._raw, None, self._pieces, None
        whole, asynchronous = self._whole, self.scope.asynchronous
        if not whole:
            self.release(keep=False)  # before anything that can be cancelled again (encode/httpx#3782)
        try:
            if raw is not None and self.http.is_ours() and (whole or self.http.pool is None):
                yield from self.scope.shielded_call(raw.aclose if asynchronous else raw.close)
            if pieces is not None and self.http.is_ours() and asynchronous and not whole and _own_stream(raw):
                yield from self.scope.shielded_call(self._drain, pieces)
        except BaseException:  # Ctrl-C too; it is raised again
            self.release(keep=False)
            raise
        self.release(keep=whole)

    async def _drain(self, pieces: AsyncIterator[bytes]) -> None:
        # httpx reads through nested generators; trio warns of abandoned ones (encode/httpcore#1019). Reading from the
        # closed connection ends each of them. RuntimeError: another task is reading, and ends them itself.
        with suppress(*self.http.library.errors, RuntimeError):
            async for _ in pieces:
                pass

    def release(self, *, keep: bool) -> None:
        """End the use of a connection of our own. It does not wait."""
        if self.http.pool is not None:
            self.http.pool.finish(self, keep=keep and self.http.is_ours())

    def cancel(self) -> None:
        """End the exchange, also while it waits: of a thread from any other, of a task in its event loop.

        Over a client of the user, a thread's ends at its next read before the head, and if others use the connection.
        """
        self.scope.cancel()
        connection, raw = self.connection, self._raw
        if not self.http.is_ours():
            return
        if self.http.pool is not None:
            if connection is not None and self.claim():
                if self.scope.asynchronous:
                    connection.network.close()
                else:
                    shut_down(connection.network.socket)  # its reader closes it
        elif raw is not None and not self.scope.asynchronous and (stream := _own_stream(raw)) is not None:
            shut_down(stream.get_extra_info("socket"))

    def claim(self) -> bool:
        """Return True for the first caller, the reader or the canceller, which then ends the exchange."""
        return self._unclaimed.pop(None, False)  # one step of a dict, for threads


def _own_stream(raw: Any) -> Any:
    """httpcore's network stream of a response; `None` if there is none, or others use it too, as over HTTP/2."""
    return None if raw.extensions.get("http_version") == b"HTTP/2" else raw.extensions.get("network_stream")
