"""A TCP proxy that loses connections: each at the place in the server's bytes that it is told."""

from __future__ import annotations

import re
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from attrs import frozen

__all__ = ["Cut", "CuttingProxy"]

_RESET = struct.pack("ii", 1, 0)


@frozen
class Cut:
    """The end of a connection after the `count`th match of `pattern` in what the server sent; `reset` by RST."""

    pattern: bytes
    count: int
    reset: bool = False

    def place(self, data: bytes) -> int | None:
        """Where the connection ends, `None` if that has not come yet."""
        ends = [match.end() for match in re.finditer(self.pattern, data)]
        return ends[self.count - 1] if len(ends) >= self.count else None


class CuttingProxy:
    """Passes on what clients and the server at `url` say, and ends the nth connection at the nth of `cuts`.

    Connections after the last cut are left alone. `requests` holds what each connection's client sent first.
    """

    def __init__(self, url: str, *cuts: Cut) -> None:
        target = urlsplit(url)
        self._target = (target.hostname, target.port)
        self._cuts = list(cuts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self.requests: list[bytes] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()  # it may have accepted one more
        for sock in self._sockets:
            with suppress(OSError):  # it has ended
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def lead_to(self, url: str) -> None:
        """Lead connections that come from now on to another server."""
        target = urlsplit(url)
        self._target = (target.hostname, target.port)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments)  # type: ignore[arg-type]  # a function of ours
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:  # the server has gone
                client.close()
                continue
            self._sockets += [client, server]
            cut = self._cuts.pop(0) if self._cuts else None
            self._start(self._carry, client, server, cut)

    def _carry(self, client: socket.socket, server: socket.socket, cut: Cut | None) -> None:
        forward = threading.Thread(target=self._forward, args=(client, server))
        forward.start()
        received, passed, reset = b"", 0, False
        try:
            while data := server.recv(65536):
                received += data
                place = None if cut is None else cut.place(received)
                client.sendall(received[passed:place])
                passed = len(received)
                if place is not None:
                    reset = cut is not None and cut.reset
                    break
        except OSError:
            pass  # one of the two has gone
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        for sock in (client, server):
            with suppress(OSError):  # it has ended
                sock.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
        forward.join()
        client.close()
        server.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        try:
            if data := client.recv(65536):
                self.requests.append(data)
            while data:
                server.sendall(data)
                data = client.recv(65536)
        except OSError:
            pass  # one of the two has gone
