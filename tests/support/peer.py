"""The faulty peer: a real server that answers each request with the next of its scripts.

A script is a sequence of steps; a step is a function that does something with the connection. When a script is over
and the connection has not ended, the next request on it is read. When no script is left, every request is answered as
a good server answers it, so that "the client serves the next call" can be asked of the same peer.
"""

from __future__ import annotations

import select
import signal
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from attrs import frozen

from tests.support.wire import GOOD_BODIES, GOOD_STREAM, ok

PATIENCE = 10.0  # seconds; a peer that waits longer for anything has found a fault


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


def interrupt(connection: Connection) -> None:
    """Press Ctrl-C: SIGINT to the main thread, which waits for the answer."""
    connection.wait(0.05)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


class Peer:
    """A server on a free port of this machine. It never outlives its `with` block.

    `greeting` is said on each connection before anything is heard. A `listener` that is given is bound and does not
    listen before `listen`. `answer` makes the script for a request when none is left, by default `good_answer`.
    """

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        greeting: bytes = b"",
        listener: socket.socket | None = None,
        answer: Callable[[Request], Script] | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.flooded = 0
        """How many bytes `flood` has sent."""
        self.over = threading.Event()
        self.left: list[int] = []
        """The connections that the client has ended, in that order."""
        self._ended = 0
        self._changed = threading.Condition()
        self._scripts = deque(scripts)
        self._tls = tls
        self._greeting = greeting
        self._answer = answer or good_answer
        self._sockets: set[socket.socket] = set()
        self._faults: list[BaseException] = []
        self._listener = listener or socket.create_server(("127.0.0.1", 0), backlog=128)
        self.authority = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.authority}"
        self._threads = [threading.Thread(target=self._accept, name="peer")]
        if listener is None:
            self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.over.set()
        if self._threads[0].is_alive():
            socket.create_connection(self._listener.getsockname()).close()  # wakes the one that accepts
            self._threads[0].join(PATIENCE)
            assert not self._threads[0].is_alive(), "the peer does not end"
        with self._changed:
            for sock in self._sockets:
                _shut_down(sock)
        for thread in self._threads[1:]:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a connection of the peer does not end"
        self._listener.close()
        if self._faults:
            raise self._faults[0]

    def listen(self) -> None:
        """Begin to accept."""
        self._listener.listen()
        self._threads[0].start()

    def add(self, *scripts: Script) -> None:
        """Answer the next requests so."""
        self._scripts.extend(scripts)

    @property
    def open(self) -> int:
        """How many connections have not ended on this side."""
        return len(self._sockets)

    def note_left(self, number: int) -> None:
        """The client has ended connection `number`."""
        with self._changed:
            self.left.append(number)
            self._changed.notify_all()

    def wait_until_left(self, count: int) -> None:
        """Wait until the client has ended so many connections, before the peer did."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.left) >= count, PATIENCE), f"{self.left} left, not {count}"

    def wait_until_ended(self, count: int) -> None:
        """Wait until so many connections are closed on this side."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended >= count, PATIENCE), f"{self._ended} ended, not {count}"

    def wait_for_requests(self, count: int) -> None:
        """Wait until so many requests have arrived whole."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE), "no request arrives"

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self.over.is_set():
                sock.close()
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(sock, self.connections), name="peer connection")
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            with self._known(sock) as known:
                connection = Connection(self, known, number)
                connection.send(self._greeting)
                while True:
                    request = connection.read_request()
                    with self._changed:
                        self.requests.append(request)
                        self._changed.notify_all()
                        script = self._scripts.popleft() if self._scripts else self._answer(request)
                    for step in script:
                        step(connection)
        except Ended:
            pass
        except BaseException as error:
            self._faults.append(error)
            raise

    @contextmanager
    def _known(self, sock: socket.socket) -> Iterator[socket.socket]:
        """The connection, with TLS where the peer speaks it, closed at the end and shut down with the peer."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(3 * PATIENCE)
        try:
            if self._tls is not None:
                try:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                except OSError:  # the client does not trust us, which is what some of them are asked to see
                    raise Ended from None
            with self._changed:
                self._sockets.add(sock)
            if self.over.is_set():
                raise Ended
            yield sock
        finally:
            with self._changed:
                self._sockets.discard(sock)
                sock.close()
                self._ended += 1
                self._changed.notify_all()


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):  # the client was faster
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def good_answer(request: Request) -> Script:
    """What a good server answers."""
    if request.target.endswith("/stream"):
        return [send(GOOD_STREAM)]
    return [send(ok(GOOD_BODIES.get((request.method, request.target), {"value": "v"})))]
