"""A proxy in front of a PostgreSQL server that counts how often its clients wait for it."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["CountingProxy"]

_SOCKET = ".s.PGSQL.5432"
_READY = b"Z"  # ReadyForQuery, which ends each round trip


class CountingProxy:
    """Passes on what clients and the server in a `directory` say. `url` is the proxy's, `round_trips` a count.

    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """

    def __init__(self, directory: Path) -> None:
        self._target = str(directory / _SOCKET)
        self._folder = Path(tempfile.mkdtemp(prefix="pp-"))  # short, as a socket's path has to be
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._folder / _SOCKET))
        self._listener.listen()
        self._sockets = [self._listener]
        self._threads: list[threading.Thread] = []
        self.url = f"postgresql://hestia@/postgres?host={self._folder}"
        self.round_trips = 0

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for each in self._sockets:
            with suppress(OSError):  # it has ended
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()
        shutil.rmtree(self._folder)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # it ends so
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                self._sockets += client, server
                server.connect(self._target)
                self._start(self._pass_on, client, server)
                self._start(self._count, server, client)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # one of them has ended
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _count(self, server: socket.socket, client: socket.socket) -> None:
        """Count, before it is passed on, what the server says: messages of a type and a length, which counts itself."""
        left, statements = b"", False  # the first is ready after its start, which is not counted
        with suppress(OSError):
            while data := server.recv(65536):
                left += data
                while len(left) >= 5 and len(left) >= (size := 1 + int.from_bytes(left[1:5], "big")):
                    if left[:1] == _READY:
                        self.round_trips += statements
                        statements = True
                    left = left[size:]
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
