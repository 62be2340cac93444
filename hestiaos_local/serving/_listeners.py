"""The listening sockets of a server: one for each available address of the host."""

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

_BACKLOG = 4096  # connections waiting to be accepted; the system reduces it to its maximum
_PORTS_TRIED = 10  # attempts to find a port that is free for every address
_NOT_THERE = (EADDRNOTAVAIL, EAFNOSUPPORT)  # the machine does not have this address, or its family


class ServeError(OSError):
    """The server cannot listen on the address. The message gives the reason and a remedy in one line."""

    __module__ = "hestiaos_local"  # where it is imported from, as tracebacks show it


async def listen(host: str, port: int, *, protected: bool) -> list[socket.socket]:
    """Listen on every address of `host`, with the same port for all of them. Port 0 selects a free one.

    Raises `ServeError`, and `ValueError` if the server is not `protected` and other machines can reach the host.
    """
    if not host:
        raise ValueError("the host must not be empty: give an address of this machine, such as 127.0.0.1")
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
    except (OSError, UnicodeError) as error:  # UnicodeError: the name is invalid in IDNA
        raise ServeError(_why_not(host, port, error)) from error


def base_url(host: str, listeners: list[socket.socket]) -> str:
    """Return the URL at which clients reach the server."""
    return f"http://{_authority(host, listeners[0].getsockname()[1])}"


def _bind(addresses: Sequence[tuple[int, tuple[Any, ...]]]) -> list[socket.socket]:
    """Listen on the available addresses. If there are none, raises the `OSError` of the first."""
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
    if sys.platform == "win32":  # on Windows, SO_REUSEADDR would share the port with other programs
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:  # IPv4 has its own socket
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _why_not(host: str, port: int, error: OSError | UnicodeError) -> str:
    address = _authority(host, port)
    if not isinstance(error, OSError) or isinstance(error, socket.gaierror):
        return f"the host {host!r} cannot be resolved: give an address of this machine, such as 127.0.0.1"
    if error.errno == EADDRINUSE:
        return f"{address} is in use: stop the program that listens there, or choose another port"
    if error.errno == EACCES:
        return f"{address} is not permitted for this user: choose a port of 1024 or above"
    if error.errno in _NOT_THERE:
        return f"{host} is not an address of this machine: give one that is, such as 127.0.0.1"
    return f"cannot listen on {address}: {error.strerror or error}"


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
