"""The connections of one asyncio loop."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from hestiaos_asyncio._connection import Connection
from hestiaos_asyncio._sockets import open_socket
from hestiaos_proto import LoopPool, NetworkOptions

__all__ = ["Pool", "expire"]

T = TypeVar("T")

_PIECE = 256 * 1024  # how much is read at a time, in bytes


class Pool(LoopPool):
    """The pool of the running event loop `loop`."""

    def __init__(self, network: NetworkOptions, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(network)
        self._loop = loop
        self._process = os.getpid()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._buffer = memoryview(bytearray(_PIECE))

    def is_current(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def call_soon(self, function: Callable[..., object], /, *args: object) -> bool:
        if self._process != os.getpid():
            return False
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _event(self) -> asyncio.Event:
        return asyncio.Event()

    async def _wait(self, event: asyncio.Event, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await event.wait()
        except TimeoutError:
            return False

    async def _checkpoint(self) -> None:
        await asyncio.sleep(0)

    async def _within(
        self, seconds: float, cancels: set[Callable[[], object]], work: Callable[[], Awaitable[T]]
    ) -> T | None:
        scope = asyncio.timeout(seconds)
        cancel = partial(expire, scope, self._loop)
        cancels.add(cancel)
        try:
            async with scope:
                return await work()
        except TimeoutError:
            if not scope.expired():
                raise  # a timeout of the system
            return None
        finally:
            cancels.discard(cancel)

    def _spawn(self, work: Callable[[], Awaitable[object]]) -> None:
        if self.is_current():
            task = asyncio.ensure_future(work())
            self._tasks.add(task)  # the loop itself has a weak reference only
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, seconds: float) -> Connection:
        network, loop = self.network, self._loop
        host, port = network.config.address
        tls = {}
        if network.config.tls:
            # With a name that TLS refuses asyncio leaks the socket (python/cpython#153133), so it is checked first.
            network.ssl_context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=host)
            # asyncio's own timeout would raise another error.
            tls = {"ssl": network.ssl_context, "server_hostname": host, "ssl_handshake_timeout": seconds + 60}
        new = partial(Connection, network, loop, self._buffer)
        if network.uds is not None:
            _, connection = await loop.create_unix_connection(new, network.uds, **tls)
        else:
            sock = await open_socket(loop, host, port)
            _, connection = await loop.create_connection(new, sock=sock, **tls)
        return connection


def expire(scope: asyncio.Timeout, loop: asyncio.AbstractEventLoop) -> None:
    """Let a timeout expire now."""
    if not scope.expired():
        scope.reschedule(loop.time())
