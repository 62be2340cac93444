"""Connects a thread or a task to a host. Every wait can be ended."""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import Any

from hestiaos_httpx._scopes import Address, Scope, Steps, can_wait

__all__ = ["connect"]

_NEXT_ADDRESS = 0.25  # seconds
_IN_PROGRESS = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK)}


def connect(scope: Scope, host: str, port: int, until: float) -> Steps[socket.socket]:
    """Connect a socket to the first address of `host` that accepts a connection.

    Until one does, another is tried every 250 ms (RFC 8305, section 5). Raises like a wait of `scope`,
    `UnicodeError` for an invalid host, and `RuntimeError` if no thread can be started for the lookup.
    """
    name = host.encode("ascii")  # as bytes: a str takes the codec idna, which a forked child might wait for
    addresses = _numeric_addresses(name, port) or (yield from scope.look_up(name, port, until))
    pending: list[socket.socket] = []
    failed = OSError("it has no address")
    try:
        while addresses or pending:
            try:
                if addresses:
                    pending.append(_begin(addresses.pop(0)))
                soon = min(until, time.monotonic() + _NEXT_ADDRESS)
                yield from scope.wait_to_write(pending[-1], soon)
            except OSError as error:
                scope.left(until)  # raises if no time is left
                failed = error
            for sock in [each for each in pending if can_wait(each, write=True, seconds=0)]:
                pending.remove(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return sock
                sock.close()
                failed = OSError(code, os.strerror(code))
        raise failed
    finally:
        for sock in pending:
            sock.close()


def _numeric_addresses(host: bytes, port: int) -> list[Address]:
    """Return the address of a host that is one, without a lookup, or an empty list for a name."""
    try:
        found: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []
    return found


def _begin(address: Address) -> socket.socket:
    """Begin to connect a socket, which is writable when that has succeeded or failed. Raises `OSError`."""
    sock = socket.socket(*address[:3])
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = sock.connect_ex(address[4])
    if code not in _IN_PROGRESS:
        sock.close()
        raise OSError(code, os.strerror(code))
    return sock
