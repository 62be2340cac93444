"""A tiny server on a real socket, whose connections have numbers, and tell them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hestiaos_proto import HealthResponse, ServerConnection, StreamEvent


class NumberedServer:
    """Answers `health` with the connection's number as the version; begins a stream with it, and leaves it open."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._sockets: dict[int, socket.socket] = {}
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def open(self) -> set[int]:
        """The connections that neither side has ended."""
        with self._lock:
            return {number for number, sock in self._sockets.items() if _is_open(sock)}

    def end(self, number: int) -> None:
        """Close a connection, as a server does with one that was idle for long."""
        with self._lock, suppress(KeyError, OSError):  # it may be closed already
            self._sockets[number].shutdown(socket.SHUT_RDWR)

    def speak(self, number: int) -> None:
        """Send what nobody asked for."""
        with self._lock, suppress(KeyError, OSError):
            self._sockets[number].sendall(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")

    def stop(self) -> None:
        self._stopped = True
        socket.create_connection(self._listener.getsockname()).close()  # wakes the thread, which waits for it
        self._thread.join()
        self._listener.close()
        with self._lock:
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
            with self._lock:
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
        with self._lock:
            del self._sockets[number]
            sock.close()


def _is_open(sock: socket.socket) -> bool:
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def server() -> Iterator[NumberedServer]:
    server = NumberedServer()
    yield server
    server.stop()
