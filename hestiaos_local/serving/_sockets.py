"""A client's socket, with a buffer of what could not be sent yet."""

from __future__ import annotations

import socket
from collections.abc import Callable

from anyio import wait_readable, wait_writable

__all__ = ["ClientSocket"]

_READ = 8 * 1024  # bytes to read at once; decoding them takes 1 ms if they are chunks of one byte
_NOT_SENT = 64 * 1024  # bytes that the system may buffer before sending them, where this can be set
_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class ClientSocket:
    """A connected socket, which this object owns. One task may read while another sends."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._unsent = bytearray()
        self._is_new = True
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _LOWAT is not None:  # otherwise the buffer of a slow reader may accept nothing for minutes
                sock.setsockopt(socket.IPPROTO_TCP, _LOWAT, _NOT_SENT)
        except OSError:  # the client has disconnected already; reading will raise
            pass

    async def receive(self) -> bytes:
        """Receive at least one byte, or `b""` at the end. Raises `OSError` if the connection is lost.

        The first read does not wait for readiness, as the first request of a client has usually arrived. Waiting would
        take three turns of the event loop, each of which is long while many streams are being sent.
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
        """Send what can be sent without waiting. The rest is sent before anything else. Return whether all was sent."""
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
        """Send buffered data, then `data`. Call `on_progress` whenever some of it was sent.

        If cancelled, the rest stays buffered and is sent before anything else.
        """
        if self.send_now(data):
            return
        while self._unsent:
            await wait_writable(self._sock)
            if self._flush():
                on_progress()

    def _flush(self) -> bool:
        """Send from the buffer without waiting. Return whether anything was sent."""
        try:
            sent = self._sock.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return False
        del self._unsent[:sent]
        return True

    def send_eof(self) -> None:
        """Close the sending side."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()
