"""TLS without a socket: received bytes are written in, bytes to send are read out.

`ssl.SSLContext.wrap_socket` detaches the socket that another thread would shut down to end a blocked call, blocks in
the handshake, and cannot do TLS inside of TLS, which an https proxy needs. `ssl.MemoryBIO` has none of these faults.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable
from typing import TypeVar

from hestiaos_proto import ForkGuard

__all__ = ["GUARD", "TLS"]

T = TypeVar("T")

GUARD = ForkGuard(time.sleep, getattr(os, "register_at_fork", None))


class TLS:
    """The client's side of TLS."""

    def __init__(self, context: ssl.SSLContext, hostname: str | None) -> None:
        self._received = ssl.MemoryBIO()
        self._to_send = ssl.MemoryBIO()
        self.object = GUARD.call(context.wrap_bio, self._received, self._to_send, server_hostname=hostname)

    def attempt(self, operation: Callable[[], T]) -> tuple[T | None, bool, bytes]:
        """Call a method of `object`. Return its result, whether it is done, and the data to send.

        Until it is done, more data has to be received. Raises `ssl.SSLError`.
        """
        try:
            result, done = GUARD.call(operation), True
        except ssl.SSLWantReadError:
            result, done = None, False
        return result, done, self._to_send.read()

    def receive(self, data: bytes) -> None:
        """Receive data; `b""` is the end."""
        if data:
            self._received.write(data)
        else:
            self._received.write_eof()
