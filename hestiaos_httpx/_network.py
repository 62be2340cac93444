"""Sockets for httpcore, on which every wait can be ended: by a deadline, a cancellation, a close or Ctrl-C.

`Network` is a network backend as httpcore wants it, for threads and for tasks, over a plain socket, so that it can be
closed also when its event loop has ended.
httpcore's own cannot be ended while they look up a name, connect or shake hands, bound a proxy's SOCKS handshake by
nothing (encode/httpcore#1015), and leave the socket of a cancelled handshake (`start_tls` catches `Exception` only).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import h11

from hestiaos_httpx._connect import connect
from hestiaos_httpx._library import core
from hestiaos_httpx._scopes import Scope, Steps
from hestiaos_httpx._streams import NetworkStream
from hestiaos_httpx._tls import TLS
from hestiaos_proto import ChunkDecoder, HeadScanner

__all__ = ["Network"]

_READ_SIZE = 64 * 1024  # bytes that are read of a body at once


class Network:
    """One connection's socket, and httpcore's way to it.

    `scope` is that of the exchange which it serves, and changes with it. A connect has `begun`; `handshakes` is how
    many of them, of TLS and of SOCKS, it takes until the server is reached: it is `established`. `received` is whether
    anything has come of the response that is awaited. `chunks` decodes its body, if that is chunked and httpcore has
    read none of it yet: h11 takes several steps for each chunk, which is most of an event stream's time.
    """

    def __init__(self, scope: Scope, handshakes: int, *, socks: bool) -> None:
        self.scope = scope
        self.begun: bool = False
        self.established: bool = False
        self.socket: socket.socket | None = None
        self.layers: list[TLS] = []  # that of an https proxy, and that of the server above it
        self._handshakes = handshakes
        self._in_socks = socks
        # The whole connect has a limit: a slow handshake can outlast a timeout of each read.
        self._connected_by = time.monotonic() + scope.connect_timeout
        self.next_response()

    def next_response(self) -> None:
        """Expect another response."""
        self.received: bool = False
        self.chunks: ChunkDecoder | None = None
        self._heads = HeadScanner()
        self._ahead = b""  # the part of the body that arrived with the head, or that httpcore will read
        self._decoded: Iterator[bytes] = iter(())

    def connect_tcp(self, host: str, port: int, **_: Any) -> Any:
        """Connect. Raises httpcore's `ConnectError` and `ConnectTimeout`."""
        self.begun = True
        return self.scope.run(self._connect(host, port))

    def _connect(self, host: str, port: int) -> Steps[NetworkStream]:
        try:
            self.socket = yield from connect(self.scope, host, port, self._connected_by)
        except (OSError, ValueError, RuntimeError) as error:  # an invalid host name; no thread can be started
            raise self._error("Connect", error) from error
        self._end_handshakes(0)
        return NetworkStream(self, 0)

    def start_tls(self, context: ssl.SSLContext, hostname: str | None) -> Steps[NetworkStream]:
        """Use TLS from now on, inside the TLS that is used already."""
        try:
            self.layers.append(TLS(context, hostname))
            layer = self.layers[-1]
            yield from self._through(len(self.layers), layer.object.do_handshake, self._connected_by)
        except (OSError, ValueError) as error:  # an invalid host name
            raise self._error("Connect", error) from error
        self._end_handshakes(1 + self._in_socks)
        return NetworkStream(self, len(self.layers))

    def receive(self, level: int, max_bytes: int) -> Steps[bytes]:
        """Return the data that httpcore reads next, through `level` layers of TLS. Skips what `chunks` decoded."""
        self.chunks, ahead, self._ahead = None, self._ahead, b""
        data = ahead or (yield from self._receive(level, max_bytes))
        if self.established and not self._heads.ended:
            end = self._heads.scan(data)
            if self._heads.chunked:
                self.chunks, self._ahead, data = ChunkDecoder(), data[end:], data[:end]
        return data

    def receive_body(self) -> Steps[bytes]:
        """Return the next piece of a body that `chunks` decodes, or `b""` if httpcore has to read the rest."""
        while (chunks := self.chunks) is not None:
            try:
                for body in self._decoded:
                    return body
            except h11.RemoteProtocolError as error:
                raise core().RemoteProtocolError(str(error)) from error
            if chunks.rest is not None:
                self.chunks, self._ahead = None, chunks.rest
                break
            ahead, self._ahead = self._ahead, b""
            self._decoded = chunks.decode(ahead or (yield from self._receive(len(self.layers), _READ_SIZE)))
        return b""

    def _receive(self, level: int, max_bytes: int) -> Steps[bytes]:
        try:
            until = time.monotonic() + self.scope.read_timeout if self.established else self._connected_by
            data = yield from self._read(level, max_bytes, until)
        except OSError as error:
            raise self._error("Read", error) from error
        self.received = self.received or (self.established and bool(data))
        return data

    def send(self, level: int, data: bytes, timeout: float | None) -> Steps[None]:
        """Send all of `data`, through `level` layers of TLS."""
        if self._in_socks and data[:1] not in (b"\x05", b"\x01"):  # a request, not a message of RFC 1928 or 1929
            self._end_handshakes(1)
        try:
            # httpcore has no timeout for a SOCKS handshake (httpcore2 has), and one for each read of a CONNECT.
            until = self._connected_by if timeout is None or not self.established else time.monotonic() + timeout
            yield from self._write(level, data, until)
        except OSError as error:
            raise self._error("Write", error) from error

    def _end_handshakes(self, count: int) -> None:
        self._handshakes -= count
        self._in_socks = self._in_socks and not count
        self.established = not self._handshakes

    def _read(self, level: int, max_bytes: int, until: float) -> Steps[bytes]:
        if level:
            return self._read_tls(level, max_bytes, until)
        return self.scope.receive(self._open(), max_bytes, until)

    def _read_tls(self, level: int, max_bytes: int, until: float) -> Steps[bytes]:
        try:
            data: bytes = yield from self._through(level, partial(self.layers[level - 1].object.read, max_bytes), until)
            return data
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):  # many servers do not announce it (RFC 9110, 4.3.4)
            return b""

    def _write(self, level: int, data: bytes, until: float) -> Steps[None]:
        if level:
            yield from self._through(level, partial(self.layers[level - 1].object.write, data), until)
            return
        view = memoryview(data)
        while view:
            sock = self._open()
            sock.setblocking(False)
            try:
                view = view[sock.send(view) :]
            except BlockingIOError:
                yield from self.scope.wait_to_write(sock, until)

    def _through(self, level: int, operation: Callable[[], Any], until: float) -> Steps[Any]:
        """Carry out a function of a layer of TLS, over the layers below it."""
        layer = self.layers[level - 1]
        while True:
            result, done, to_send = layer.attempt(operation)
            if to_send:
                yield from self._write(level - 1, to_send, until)
            if done:
                return result
            layer.receive((yield from self._read(level - 1, 65536, until)))

    def _open(self) -> socket.socket:
        if self.socket is None or self.scope.is_over():
            raise OSError("the connection is closed")
        return self.socket

    @staticmethod
    def _error(doing: str, cause: Exception) -> Exception:
        """Return the exception of httpcore for a failure to connect, read or write."""
        kind = "Timeout" if isinstance(cause, TimeoutError) else "Error"
        error: Exception = getattr(core(), doing + kind)(str(cause))
        return error

    def close(self) -> None:
        """Close the socket at once, without ending TLS; a task that waits for it closes it itself."""
        sock, self.socket = self.socket, None
        if sock is not None:
            self.scope.close(sock)

    def abandon(self) -> None:
        """Close the socket of an event loop that has ended, or of another process."""
        sock, self.socket = self.socket, None
        if sock is not None:
            sock.close()
