"""What threads and tasks alike do to a socket, none of which blocks."""

from __future__ import annotations

import errno
import os
import select
import socket
from contextlib import suppress
from typing import Any

__all__ = ["Address", "begin_connect", "can_wait", "numeric_addresses", "shut_down"]

Address = tuple[int, int, int, str, Any]
"""What `socket.getaddrinfo` gives: family, type, protocol, canonical name, address."""

_UNDER_WAY = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK)}


def numeric_addresses(host: bytes, port: int) -> list[Address]:
    """The address of a host that is one, which needs no lookup; none for a name."""
    try:
        found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []
    return found


def begin_connect(address: Address) -> socket.socket:
    """A socket that connects, and can be written once it has, or has failed to. Raises `OSError`."""
    sock = socket.socket(*address[:3])
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = sock.connect_ex(address[4])
    if code not in _UNDER_WAY:
        sock.close()
        raise OSError(code, os.strerror(code))
    return sock


def can_wait(sock: socket.socket, *, write: bool, seconds: float) -> bool:
    """Whether a socket can be read, or written, after so many seconds at most."""
    if hasattr(select, "poll"):  # `select.select` takes no descriptor over 1023
        poll = select.poll()
        poll.register(sock, select.POLLOUT if write else select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    ready = select.select([] if write else [sock], [sock] if write else [], [sock], seconds)
    return any(ready)


def shut_down(sock: socket.socket | None) -> None:
    """End a connection under whoever reads from it, and leave its descriptor to its owner."""
    if sock is not None:
        with suppress(OSError):  # it may not be connected yet, or closed already, which is all that is wanted
            sock.shutdown(socket.SHUT_RDWR)
