"""What a faulty peer does with a connection, step by step."""

from __future__ import annotations

import select
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from tests.support.peer import Peer

PATIENCE = 30.0  # seconds; a peer that waits longer for anything has found a fault


class Ended(Exception):
    """The connection is over."""


@frozen
class Request:
    """One request, whole; `arrived` is in seconds since 1970, `connection` counts from 1."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    arrived: float
    connection: int


Step = Callable[["Connection"], None]
Script = Sequence[Step]


class Connection:
    """One accepted connection, as the steps see it."""

    def __init__(self, peer: Peer, sock: socket.socket, number: int) -> None:
        self.peer = peer
        self.sock = sock
        self.number = number
        self._received = b""

    def read(self, count: int) -> bytes:
        """So many bytes. Raises `Ended` when the client has left."""
        while len(self._received) < count:
            self._received += self.receive()
        data, self._received = self._received[:count], self._received[count:]
        return data

    def receive(self) -> bytes:
        """What comes next. Raises `Ended` when the client has left."""
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.peer.note_left(self.number)
            raise Ended
        return data

    def send(self, data: bytes) -> None:
        """Send all of it. Raises `Ended` when the client has left."""
        try:
            self.sock.sendall(data)
        except OSError:
            self.peer.note_left(self.number)
            raise Ended from None

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises `Ended` when the peer is closed meanwhile."""
        if self.peer.over.wait(seconds):
            raise Ended

    def wait_for(self, event: threading.Event) -> None:
        """Wait until `event` is set. Raises `Ended` when the client leaves meanwhile, or the peer is closed."""
        while not event.is_set():
            self.wait(0.002)
            if select.select([self.sock], [], [], 0)[0]:
                data = self.receive()
                assert not data, f"this comes in the middle of a response: {data[:100]!r}"

    def read_request(self) -> Request:
        data = self._received
        while b"\r\n\r\n" not in data:
            data += self.receive()
        head, _, body = data.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
        length = int(headers.get("content-length", "0"))
        pieces, size = [body], len(body)
        while size < length:
            pieces.append(self.receive())
            size += len(pieces[-1])
        body = b"".join(pieces)
        self._received = body[length:]
        method, target, _ = line.split(" ")
        return Request(method, target, headers, body[:length], time.time(), self.number)


def send(data: bytes) -> Step:
    """Send `data` at once."""
    return lambda connection: connection.send(data)


def drip(data: bytes, pause: float = 0.0) -> Step:
    """Send `data` one byte at a time, `pause` seconds apart."""

    def step(connection: Connection) -> None:
        for place in range(len(data)):
            connection.send(data[place : place + 1])
            connection.wait(pause)

    return step


def flood(piece: bytes, *, most: int) -> Step:
    """Send `piece` again and again until the client leaves or `most` bytes are sent."""

    def step(connection: Connection) -> None:
        for _ in range(most // len(piece)):
            connection.send(piece)
            connection.peer.flooded += len(piece)

    return step


def pause(seconds: float) -> Step:
    """Be silent for so long."""
    return lambda connection: connection.wait(seconds)


def silence(connection: Connection) -> None:
    """Say nothing until the client leaves."""
    while True:
        connection.receive()


def close(connection: Connection) -> None:
    """End the connection in order (FIN)."""
    raise Ended


def half_close(connection: Connection) -> None:
    """End this direction only, and go on listening."""
    connection.sock.shutdown(socket.SHUT_WR)
    silence(connection)


def reset(connection: Connection) -> None:
    """End the connection by a reset (RST)."""
    connection.wait(0.01)  # what was sent before goes out first: a reset throws away what has not
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Ended


def start_tls(context: ssl.SSLContext) -> Step:
    """Speak TLS from now on, as its server."""

    def step(connection: Connection) -> None:
        try:
            connection.sock = context.wrap_socket(connection.sock, server_side=True, do_handshake_on_connect=False)
            connection.sock.do_handshake()
        except OSError:  # the client does not trust us, which some are asked to see, or has left
            raise Ended from None

    return step


def interrupt(connection: Connection) -> None:
    """Press Ctrl-C: SIGINT to the main thread, which waits for the answer."""
    connection.wait(0.05)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
