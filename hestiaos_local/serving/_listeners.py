"""The sockets that a server listens on: one for each family of the host that is there."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT
from ipaddress import ip_address
from typing import Any

from anyio import getaddrinfo

__all__ = ["ServeError", "base_url", "listen"]

_BACKLOG = 4096  # connections that wait to be accepted; the system lowers it to what it allows
_PORTS_TRIED = 10  # until one is free for every family
_NOT_THERE = (EADDRNOTAVAIL, EAFNOSUPPORT)  # the machine has no such family, or no such address


class ServeError(OSError):
    """The address cannot be listened on; the message says in one line why, and what to do."""


async def listen(host: str, port: int, *, protected: bool) -> list[socket.socket]:
    """Listen on every address that `host` is, all of them with the same port; port 0 takes a free one.

    Raises `ValueError` for a host that can be reached from other machines, if the server is not `protected`, and
    `ServeError`.
    """
    if not host:
        raise ValueError("the host is empty: give an address of this machine, such as 127.0.0.1")
    if not 0 <= port <= 65535:
        raise ValueError(f"the port must be from 0 to 65535, not {port}")
    try:
        found = await getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if not protected and not all(ip_address(address[0]).is_loopback for *_, address in found):
            raise ValueError(
                f"{host} can be reached from other machines: set an API key, or serve on a loopback address (127.0.0.1)"
            )
        addresses = list(dict.fromkeys((family, address) for family, *_, address in found))
        for _ in range(_PORTS_TRIED - 1):
            try:
                return _bind(addresses)
            except OSError as error:
                if port or error.errno != EADDRINUSE:
                    raise
        return _bind(addresses)
    except (OSError, UnicodeError) as error:  # a UnicodeError where the name is none by IDNA
        raise ServeError(_why_not(host, port, error)) from error


def base_url(host: str, listeners: list[socket.socket]) -> str:
    """The sockets at which clients reach the server."""
    return f"http://{_authority(host, listeners[0].getsockname()[1])}"


def _bind(addresses: Sequence[tuple[int, tuple[Any, ...]]]) -> list[socket.socket]:
    """Listen on the addresses that are there. Raises the `OSError` of the first where none is."""
    missing: OSError | None = None
    listeners: list[socket.socket] = []
    with ExitStack() as opened:
        for family, (host, port, *rest) in addresses:
            port = port or (listeners[0].getsockname()[1] if listeners else 0)
            try:
                listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
                _configure(listener, family)
                listener.bind((host, port, *rest))
                listener.listen(_BACKLOG)
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    raise
                missing = missing or error
            else:
                listeners.append(listener)
        if missing is not None and not listeners:
            raise missing
        opened.pop_all()
    return listeners


def _configure(listener: socket.socket, family: int) -> None:
    listener.setblocking(False)
    if sys.platform == "win32":  # where SO_REUSEADDR would share the port with other programs
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:  # the other family has a socket of its own
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _why_not(host: str, port: int, error: OSError | UnicodeError) -> str:
    address = _authority(host, port)
    if not isinstance(error, OSError) or isinstance(error, socket.gaierror):
        return f"the host {host!r} is not known: give an address of this machine, such as 127.0.0.1"
    if error.errno == EADDRINUSE:
        return f"{address} is in use: stop what listens there, or choose another port"
    if error.errno == EACCES:
        return f"{address} is not permitted to this user: choose a port from 1024 on"
    if error.errno in _NOT_THERE:
        return f"{host} is not an address of this machine: give one that is, such as 127.0.0.1"
    return f"cannot listen on {address}: {error.strerror or error}"


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
