"""Ports at which no server answers, or not yet."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

_held = socket.socket()
_held.bind(("127.0.0.1", 0))


@contextmanager
def full_backlog() -> Iterator[str]:
    """A URL to which every connect hangs: the listener does not accept, and its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting: list[socket.socket] = []
        try:
            while len(waiting) < 64:
                sock = socket.socket()
                waiting.append(sock)
                sock.settimeout(0.2)
                try:
                    sock.connect(listener.getsockname())
                except TimeoutError:
                    break
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for sock in waiting:
                sock.close()


def refusing_url(scheme: str = "http") -> str:
    """A URL that refuses connections: its port is taken until this process ends, and nothing listens there.

    A port that was let go is soon another test's: a relay to it has already become a relay to its own platform.
    """
    return f"{scheme}://127.0.0.1:{_held.getsockname()[1]}"


def free_port() -> int:
    """A port for a server that has to be told one. No one who asks for any port is given it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)  # below those that Linux and macOS give out
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
