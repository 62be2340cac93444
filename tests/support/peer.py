"""The faulty peer: a real server that answers each request with the next of its scripts.

A script is a sequence of steps; a step is a function that does something with the connection. When a script is over
and the connection has not ended, the next request on it is read. When no script is left, every request is answered as
a good server answers it, so that "the client serves the next call" can be asked of the same peer.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.support.steps import PATIENCE, Connection, Ended, Request, Script, send, start_tls
from tests.support.wire import GOOD_BODIES, GOOD_STREAM, ok


class Peer:
    """A server on a free port of this machine. It never outlives its `with` block.

    `opening` is what happens on each connection before its first request. A `listener` that is given is bound and does
    not listen before `listen`. `answer` makes the script for a request when none is left, by default `good_answer`.
    """

    def __init__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        opening: Script = (),
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
        self._opening = [*opening] if tls is None else [start_tls(tls), *opening]
        self._openings: deque[Script] = deque()
        self._answer = answer or good_answer
        self._open: set[Connection] = set()
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
            socket.create_connection(self._listener.getsockname()[:2]).close()  # wakes the one that accepts
            self._threads[0].join(PATIENCE)
            assert not self._threads[0].is_alive(), "the peer does not end"
        with self._changed:
            for connection in self._open:
                _shut_down(connection.sock)
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

    def open_next(self, *openings: Script) -> None:
        """Open the next connections so, instead of by the `opening` of all."""
        self._openings.extend(openings)

    @property
    def open(self) -> int:
        """How many connections have not ended on this side."""
        return len(self._open)

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
            self._threads = [self._threads[0], *(each for each in self._threads[1:] if each.is_alive()), thread]
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(3 * PATIENCE)
        connection = Connection(self, sock, number)
        try:
            with self._changed:
                self._open.add(connection)
                opening = self._openings.popleft() if self._openings else self._opening
            connection.wait(0)
            self._converse(connection, opening)
        except Ended:
            pass
        except BaseException as error:
            self._faults.append(error)
            raise
        finally:
            with self._changed:
                self._open.discard(connection)
                connection.sock.close()
                self._ended += 1
                self._changed.notify_all()

    def _converse(self, connection: Connection, opening: Script) -> None:
        for step in opening:
            step(connection)
        while True:
            request = connection.read_request()
            with self._changed:
                self.requests.append(request)
                self._changed.notify_all()
                script = self._scripts.popleft() if self._scripts else self._answer(request)
            for step in script:
                step(connection)


def _shut_down(sock: socket.socket) -> None:
    under = getattr(sock, "under", sock)  # the socket that carries TLS inside of TLS, which has no end of its own
    with suppress(OSError):  # the client was faster
        socket.socket.shutdown(under, socket.SHUT_RDWR)


def good_answer(request: Request) -> Script:
    """What a good server answers."""
    path = urlsplit(request.target).path  # a proxy is sent the whole URL
    if path.endswith("/stream"):
        return [send(GOOD_STREAM)]
    return [send(ok(GOOD_BODIES.get((request.method, path), {"value": "v"})))]
