"""A TCP connection to the first address of a host that accepts one (Happy Eyeballs, RFC 8305).

asyncio's own implementation leaks a socket if it is cancelled while that connects, or if two connect at once, as
aio-libs/aiohappyeyeballs#143 describes.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

__all__ = ["open_socket"]

_DELAY = 0.25  # seconds after which the next address is tried too (section 5)


async def open_socket(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """Connect. Raises `OSError`, `UnicodeError` for an invalid name, `RuntimeError` if no thread can be started."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:  # not an address: it is looked up in a thread
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if len(found) == 1:
        return await _connect(loop, *found[0])
    connected: list[socket.socket] = []
    errors: list[OSError] = []
    tasks: list[asyncio.Task[None]] = []

    async def attempt(address: Any) -> None:
        try:
            connected.append(await _connect(loop, *address))
        except OSError as error:
            errors.append(error)
        else:
            for task in tasks:
                if task is not asyncio.current_task():
                    task.cancel()

    try:
        async with asyncio.TaskGroup() as group:
            for address in found:
                tasks.append(group.create_task(attempt(address)))
                await asyncio.wait(tasks[-1:], timeout=_DELAY)
                if connected:
                    break
    except BaseException:  # a cancellation too; it is raised again
        for each in connected:
            each.close()
        raise
    if not connected:
        raise OSError("; ".join(dict.fromkeys(map(str, errors)))) from errors[0]
    for second in connected[1:]:
        second.close()
    return connected[0]


async def _connect(
    loop: asyncio.AbstractEventLoop, family: int, kind: int, protocol: int, _: str, address: Any
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
    except BaseException as error:  # a cancellation too; it is raised again
        sock.close()
        if isinstance(error, OSError) and error.errno is not None:  # asyncio's message lacks the reason
            raise OSError(error.errno, os.strerror(error.errno), address[0]) from error
        raise
    return sock
