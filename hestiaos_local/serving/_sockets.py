"""A client's socket: bytes in, bytes out, and what could not be sent yet."""

from __future__ import annotations

import socket
from collections.abc import Callable

from anyio import wait_readable, wait_writable

__all__ = ["ClientSocket"]

_READ = 8 * 1024  # how much is read at once, in bytes; in chunks of one byte it takes 1 ms to decode
_NOT_SENT = 64 * 1024  # how much the system keeps that it has not sent yet, in bytes, where that can be set
_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class ClientSocket:
    """A connected socket, which it closes in the end. One task may read while another sends."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._unsent = bytearray()
        self._is_new = True
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _LOWAT is not None:  # else a slow reader's buffer takes minutes to make room, and nothing seems to move
                sock.setsockopt(socket.IPPROTO_TCP, _LOWAT, _NOT_SENT)
        except OSError:  # the client has gone already, as reading will tell
            pass

    async def receive(self) -> bytes:
        """What has arrived, at least one byte; `b""` at the end. Raises `OSError` where the connection is lost.

        The first request of a client mostly is there already. To wait for it takes three turns of the event loop, each
        of which is long where many streams are sent.
        """
        while True:
            if self._is_new:
                self._is_new = False
            else:
                await wait_readable(self._sock)
            try:
                return self._sock.recv(_READ)
            except (BlockingIOError, InterruptedError):
                pass

    def send_now(self, data: bytes) -> bool:
        """Send what can be sent at once; the rest goes out before anything else. Returns whether that was all."""
        if self._unsent:
            self._unsent += data
            return self._flush() and not self._unsent
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent < len(data):
            self._unsent += memoryview(data)[sent:]
        return not self._unsent

    async def send(self, data: bytes, on_progress: Callable[[], None]) -> None:
        """Send `data`, and what was left before it. `on_progress` is called whenever the client has made room.

        Where it is cancelled, the rest of it goes out before anything else.
        """
        if self.send_now(data):
            return
        while self._unsent:
            await wait_writable(self._sock)
            if self._flush():
                on_progress()

    def _flush(self) -> bool:
        """Returns whether anything could be sent."""
        try:
            sent = self._sock.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return False
        del self._unsent[:sent]
        return True

    def send_eof(self) -> None:
        """Say that nothing more is sent."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()
