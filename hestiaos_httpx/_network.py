"""Sockets under httpcore that can be ended at any moment: by a deadline, a cancellation, a close or Ctrl-C.

`Network` is a network backend and `_Stream` a network stream as httpcore wants them, for threads and for tasks. A task
waits for a plain socket by anyio, so that a socket can be closed also when its event loop has ended.
httpcore's own cannot be ended while they look up a name, connect or shake hands, bound a proxy's SOCKS handshake by
nothing (encode/httpcore#1015), and leave the socket of a cancelled handshake (`start_tls` catches `Exception` only).
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from hestiaos_httpx._guard import Guard
from hestiaos_httpx._sockets import Address, begin_connect, finish_connect, is_readable, numeric_addresses
from hestiaos_httpx._steps import Lookup, Ready, Steps
from hestiaos_httpx._tls import TLS
from hestiaos_proto.connection import ChunkJoiner

__all__ = ["Network"]

T = TypeVar("T")


class Network:
    """One connection's socket, and httpcore's way to it. `drive` carries steps out: `run` or `run_async`.

    `guard` is that of the exchange which it serves, and changes with it. A connect has `begun`; `handshakes` is how
    many of them, of TLS and of SOCKS, it takes until the server is reached: it is `established`. `received` is whether
    anything has come of the response that is awaited, `closing` whether whoever waits for the socket is to close it.
    """

    def __init__(
        self, core: Any, guard: Guard, handshakes: int, drive: Callable[[Steps[Any]], Any], *, socks: bool
    ) -> None:
        self.core = core
        self.guard = guard
        self.drive = drive
        self.begun = False
        self.established = False
        self.received = False
        self.closing = False
        self.joiner = ChunkJoiner()
        self.socket: socket.socket | None = None
        self._handshakes = handshakes
        self._in_socks = socks
        self.layers: list[TLS] = []  # that of an https proxy, and that of the server above it
        # The connect as a whole is bounded: a handshake that drips outlives a timeout of each read.
        self._connected_by = time.monotonic() + guard.connect_timeout

    def connect_tcp(self, host: str, port: int, **_: Any) -> Any:
        """Connect. Raises httpcore's `ConnectError` and `ConnectTimeout`."""
        self.begun = True
        return self.drive(self._connect(host, port))

    def _connect(self, host: str, port: int) -> Steps[_Stream]:
        with self._errors("Connect"):
            name = host.encode("ascii")  # as bytes: a str takes the codec idna, which a forked child might wait for
            addresses = numeric_addresses(name, port)
            if not addresses:
                addresses = yield Lookup(self.guard, name, port, self._connected_by)
            for place, address in enumerate(addresses):
                # An address that does not answer leaves those after it their share of the time.
                share = (self._connected_by - time.monotonic()) / (len(addresses) - place)
                try:
                    yield from self._connect_to(address, time.monotonic() + share)
                    break
                except OSError:
                    self.close()
                    if place + 1 == len(addresses):
                        raise
        self.established = not self._handshakes
        return _Stream(self, 0)

    def _connect_to(self, address: Address, until: float) -> Steps[None]:
        self.socket = sock = socket.socket(*address[:3])
        sock.setblocking(False)
        if not begin_connect(sock, address[4]):
            yield Ready(self, sock, write=True, until=until)
            finish_connect(sock)

    def start_tls(self, context: ssl.SSLContext, hostname: str | None) -> Steps[_Stream]:
        """Begin to speak TLS."""
        with self._errors("Connect"):
            layer = TLS(context, hostname)
            yield from self._run(layer.handshake(), len(self.layers), self._connected_by)
        self.layers.append(layer)
        self._end_handshakes(1 + self._in_socks)
        return _Stream(self, len(self.layers))

    def receive(self, level: int, max_bytes: int, timeout: float | None) -> Steps[bytes]:
        """Receive through so many layers of TLS."""
        if self.guard.read_timeout is not None:
            timeout = self.guard.read_timeout
        with self._errors("Read"):
            data = yield from self._read(level, max_bytes, self._until(timeout))
        if not self.established:
            return data
        self.received = self.received or bool(data)
        return self.joiner.join(data)  # h11 takes a step for each chunk, which is nine tenths of a stream's time

    def send(self, level: int, data: bytes, timeout: float | None) -> Steps[None]:
        """Send all of it, through so many layers of TLS."""
        if timeout is not None and self._in_socks:  # httpcore gives only what comes after SOCKS a timeout
            self._end_handshakes(1)
        with self._errors("Write"):
            yield from self._write(level, data, self._until(timeout))

    def _end_handshakes(self, count: int) -> None:
        self._handshakes -= count
        self._in_socks = False
        self.established = not self._handshakes

    def _read(self, level: int, max_bytes: int, until: float) -> Steps[bytes]:
        if level:
            return (yield from self._run(self.layers[level - 1].read(max_bytes), level - 1, until))
        while True:
            sock = self._open()
            try:
                return sock.recv(max_bytes)
            except BlockingIOError:
                yield Ready(self, sock, write=False, until=until)

    def _write(self, level: int, data: bytes, until: float) -> Steps[None]:
        if level:
            yield from self._run(self.layers[level - 1].write(data), level - 1, until)
            return
        view = memoryview(data)
        while view:
            sock = self._open()
            try:
                view = view[sock.send(view) :]
            except BlockingIOError:
                yield Ready(self, sock, write=True, until=until)

    def _run(self, layer: Generator[bytes | None, bytes, T], level: int, until: float) -> Steps[T]:
        """Carry out what a layer of TLS does, over the layers below it."""
        try:
            to_send = next(layer)
            while True:
                if to_send is None:
                    to_send = layer.send((yield from self._read(level, 65536, until)))
                else:
                    yield from self._write(level, to_send, until)
                    to_send = next(layer)
        except StopIteration as end:
            result: T = end.value
            return result

    def _until(self, timeout: float | None) -> float:
        # httpcore gives a SOCKS handshake no timeout, and each read of a CONNECT one of its own.
        return time.monotonic() + timeout if self.established and timeout is not None else self._connected_by

    def _open(self) -> socket.socket:
        if self.socket is None or self.guard.is_over():
            raise OSError("the connection is closed")
        return self.socket

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise getattr(self.core, f"{doing}Timeout")(str(error)) from error
        except (OSError, ValueError, RuntimeError) as error:  # a host that cannot be one; no thread can be started
            raise getattr(self.core, f"{doing}Error")(str(error)) from error

    def close(self) -> None:
        """Close the socket, at once and without a word to the server; a task that waits for it does so itself."""
        if self.guard.scope is not None:
            self.closing = True  # event loops want to be told before
            self.guard.cancel()
            return
        sock, self.socket = self.socket, None
        if sock is not None:
            sock.close()


class _Stream:
    """httpcore's network stream, over so many layers of TLS."""

    def __init__(self, network: Network, level: int) -> None:
        self._network = network
        self._level = level

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return self._network.drive(self._network.receive(self._level, max_bytes, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> Any:
        return self._network.drive(self._network.send(self._level, buffer, timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        return self._network.drive(self._network.start_tls(ssl_context, server_hostname))

    def close(self) -> None:
        self._network.close()

    async def aclose(self) -> None:
        self._network.close()

    def get_extra_info(self, info: str) -> Any:
        sock = self._network.socket
        if info == "ssl_object":
            return self._network.layers[self._level - 1].object if self._level else None
        if info == "is_readable":
            return sock is None or is_readable(sock)
        names = {"client_addr": "getsockname", "server_addr": "getpeername"}
        return (
            getattr(sock, names[info])() if info in names and sock is not None else sock if info == "socket" else None
        )
