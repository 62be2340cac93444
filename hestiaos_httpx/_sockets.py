"""What both network backends do to a socket."""

from __future__ import annotations

import errno
import os
import select
import socket
from contextlib import suppress
from typing import Any

__all__ = ["Address", "begin_connect", "finish_connect", "is_readable", "numeric_addresses", "shut_down", "wait_for"]

Address = tuple[int, int, int, str, Any]
"""What `socket.getaddrinfo` gives: family, type, protocol, canonical name, address."""

_UNDER_WAY = {errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK)}


def numeric_addresses(host: bytes, port: int) -> list[Address]:
    """The address of a host that is one, which needs no lookup; none for a name."""
    try:
        found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []
    return found


def begin_connect(sock: socket.socket, address: Any) -> bool:
    """Begin to connect a socket that does not block; true where it is connected already. Raises `OSError`."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = sock.connect_ex(address)
    if code and code not in _UNDER_WAY:
        raise OSError(code, os.strerror(code))
    return not code


def finish_connect(sock: socket.socket) -> None:
    """Raise `OSError` where the connect, which is over, has failed."""
    if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(code, os.strerror(code))


def wait_for(sock: socket.socket, *, write: bool, seconds: float) -> bool:
    """Wait until the socket can be read or written; false where it cannot after so many seconds."""
    if hasattr(select, "poll"):  # `select.select` takes no descriptor over 1023
        poll = select.poll()
        poll.register(sock, select.POLLOUT if write else select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    ready = select.select([] if write else [sock], [sock] if write else [], [sock], seconds)
    return any(ready)


def is_readable(sock: socket.socket) -> bool:
    """Whether an idle connection is of no use: the server has closed it, or sent something that nobody asked for."""
    return sock.fileno() < 0 or wait_for(sock, write=False, seconds=0)


def shut_down(sock: socket.socket | None) -> None:
    """End a connection under whoever reads from it, and leave its descriptor to its owner."""
    if sock is not None:
        with suppress(OSError):  # it may not be connected yet, or closed already, which is all that is wanted
            sock.shutdown(socket.SHUT_RDWR)
