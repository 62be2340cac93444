"""TLS without a socket: what was received goes in, what is to be sent comes out.

`ssl.SSLContext.wrap_socket` detaches the socket that another thread would shut down to end a blocked call, blocks in
the handshake, and cannot speak TLS inside of TLS, as to a server behind an https proxy. `ssl.MemoryBIO` does all three.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from threading import get_ident
from time import monotonic, sleep
from typing import TypeVar

__all__ = ["TLS"]

T = TypeVar("T")

# A child that is forked while a thread is inside OpenSSL waits for that thread's locks for ever. So a fork waits until
# none is inside, for a second at most, and none enters meanwhile.
_inside: dict[int, None] = {}  # by thread
_forks: list[None] = []  # one that is about to happen
_LONGEST = 1.0  # seconds


@contextmanager
def _openssl() -> Iterator[None]:
    thread = get_ident()
    _inside[thread] = None
    while _forks:
        _inside.pop(thread, None)
        sleep(0.0001)
        _inside[thread] = None
    try:
        yield
    finally:
        _inside.pop(thread, None)


def _before_fork() -> None:
    _forks.append(None)
    until = monotonic() + _LONGEST
    while _inside and monotonic() < until:
        sleep(0.0001)


def _in_child() -> None:
    _forks.clear()
    _inside.clear()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=_before_fork, after_in_parent=_forks.clear, after_in_child=_in_child)


class TLS:
    """The client's side of TLS.

    Each step is a generator: what it yields is to be sent, and where it yields `None` it is given what was received
    next, `b""` at the end. It returns the result, or raises `ssl.SSLError`.
    """

    def __init__(self, context: ssl.SSLContext, hostname: str | None) -> None:
        self._received = ssl.MemoryBIO()
        self._to_send = ssl.MemoryBIO()
        self.object = context.wrap_bio(self._received, self._to_send, server_hostname=hostname)

    def handshake(self) -> Generator[bytes | None, bytes, None]:
        """Agree with the server."""
        return self._run(self.object.do_handshake)

    def write(self, data: bytes) -> Generator[bytes | None, bytes, int]:
        """Encrypt `data`."""
        return self._run(partial(self.object.write, data))

    def read(self, max_bytes: int) -> Generator[bytes | None, bytes, bytes]:
        """Decrypt what comes next; `b""` at the end, which many servers reach without saying so (RFC 9110, 4.3.4)."""
        try:
            return (yield from self._run(partial(self.object.read, max_bytes)))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def _run(self, operation: Callable[[], T]) -> Generator[bytes | None, bytes, T]:
        while True:
            try:
                with _openssl():
                    result = operation()
            except ssl.SSLWantReadError:
                if data := self._to_send.read():
                    yield data
                received = yield None
                if received:
                    self._received.write(received)
                else:
                    self._received.write_eof()
            else:
                if data := self._to_send.read():
                    yield data
                return result
