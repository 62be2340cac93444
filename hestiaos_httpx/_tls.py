"""TLS without a socket: what was received goes in, what is to be sent comes out.

`ssl.SSLContext.wrap_socket` detaches the socket that another thread would shut down to end a blocked call, blocks in
the handshake, and cannot do TLS inside of TLS, which an https proxy needs. `ssl.MemoryBIO` has none of these faults.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from functools import partial
from time import monotonic, sleep
from typing import TypeVar
from weakref import ref

__all__ = ["TLS"]

T = TypeVar("T")

# A child that is forked while a thread is inside OpenSSL waits for ever for that thread's locks. So a fork waits until
# none is inside, for a second at most, and none enters meanwhile.
_inside: dict[int, object] = {}
_forks: list[None] = []  # that are about to happen
_LONGEST = 1.0  # seconds


class _Inside:
    """A thread is inside OpenSSL for as long as this lives: no interrupt can leave it there for ever."""

    __slots__ = ("__weakref__",)


def _enter() -> _Inside:
    while True:
        inside = _Inside()
        key = id(inside)
        _inside[key] = ref(inside, partial(_inside.pop, key))
        if not _forks:
            return inside
        del inside
        sleep(0.0001)


def _openssl(function: Callable[[], T]) -> T:
    inside = _enter()
    try:
        return function()
    finally:
        del inside  # the traceback of an exception would hold it


def _wait_until_outside() -> None:
    until = monotonic() + _LONGEST
    while _inside and monotonic() < until:
        sleep(0.0001)


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    # The last `before` is called first. What is written in C cannot be interrupted, and threads may fork at once.
    os.register_at_fork(before=_wait_until_outside, after_in_child=_inside.clear)
    os.register_at_fork(before=partial(_forks.append, None), after_in_parent=_forks.pop, after_in_child=_forks.clear)


class TLS:
    """The client's side of TLS."""

    def __init__(self, context: ssl.SSLContext, hostname: str | None) -> None:
        self._received = ssl.MemoryBIO()
        self._to_send = ssl.MemoryBIO()
        self.object = _openssl(lambda: context.wrap_bio(self._received, self._to_send, server_hostname=hostname))

    def attempt(self, operation: Callable[[], T]) -> tuple[T | None, bool, bytes]:
        """What a method of `object` returns, whether it is done, and what is to be sent.

        Until it is done more has to be received. Raises `ssl.SSLError`.
        """
        try:
            result, done = _openssl(operation), True
        except ssl.SSLWantReadError:
            result, done = None, False
        return result, done, self._to_send.read()

    def receive(self, data: bytes) -> None:
        """Receive data; `b""` is the end."""
        if data:
            self._received.write(data)
        else:
            self._received.write_eof()
