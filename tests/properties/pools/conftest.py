"""A tiny server on a real socket, whose connections have numbers, and tell them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from hestiaos_proto import HealthResponse, ServerConnection, StreamEvent

PATIENCE = 20.0  # seconds for what is bound to come; a test that fails waits so long
TCP_INFO: int | None = getattr(socket, "TCP_INFO", None)  # elsewhere than on Linux one hopes that a FIN is quick
FIN_WAIT_1 = 4  # Linux's number for: the other side's kernel has not acknowledged our end yet


class NumberedServer:
    """Answers `health` with the connection's number as the version; begins a stream with it, and leaves it open."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: dict[int, socket.socket] = {}
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def has_ended(self, number: int) -> bool:
        """Whether the client ends a connection; this side may notice it a moment later."""
        return self._comes_true(lambda: number not in self._sockets)

    def has_at_most(self, count: int) -> bool:
        """Whether no more connections than that are open, once this side has noticed every end."""
        return self._comes_true(lambda: len(self._sockets) <= count)

    def _comes_true(self, what: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(what, PATIENCE)

    def end(self, number: int) -> None:
        """Close a connection, as a server does with one that was idle for long; the client's side has noticed it."""
        with self._changed, suppress(KeyError, OSError):  # it may be closed already
            sock = self._sockets[number]
            sock.shutdown(socket.SHUT_RDWR)
            while TCP_INFO is not None and sock.getsockopt(socket.IPPROTO_TCP, TCP_INFO, 1)[0] == FIN_WAIT_1:
                pass

    def speak(self, number: int) -> None:
        """Send what was not asked for."""
        with self._changed, suppress(KeyError, OSError):
            self._sockets[number].sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")

    def stop(self) -> None:
        self._stopped = True
        socket.create_connection(self._listener.getsockname()).close()  # wakes the thread, which waits for it
        self._thread.join()
        self._listener.close()
        with self._changed:
            for sock in self._sockets.values():
                sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        number = 0
        while True:
            sock, _ = self._listener.accept()
            if self._stopped:
                sock.close()
                return
            number += 1
            with self._changed:
                self._sockets[number] = sock
            threading.Thread(target=self._serve, args=(number, sock), daemon=True).start()

    def _serve(self, number: int, sock: socket.socket) -> None:
        machine = ServerConnection()
        with suppress(OSError):  # the client may reset the connection at any time
            while data := sock.recv(65536):
                machine.receive_data(data)
                for call in machine.events():
                    streams = call.operation == "run_stream"
                    answer = (
                        StreamEvent("start", {"connection": number})
                        if streams
                        else HealthResponse("ok", str(number), 1)
                    )
                    sock.sendall(machine.send(answer))
        with self._changed:
            del self._sockets[number]
            sock.close()
            self._changed.notify_all()


@pytest.fixture(scope="module")
def server() -> Iterator[NumberedServer]:
    server = NumberedServer()
    yield server
    server.stop()
