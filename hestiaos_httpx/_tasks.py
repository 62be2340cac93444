"""The waits of an exchange in a task of asyncio or trio, and calls into their event loops from outside.

This is imported when the first event loop is used: anyio would double the time that a script takes to import us.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from math import inf
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from anyio import CancelScope, Event, getaddrinfo, move_on_after, wait_readable, wait_writable
from anyio.lowlevel import checkpoint, current_token

from hestiaos_httpx._scopes import Address, Scope, Steps
from hestiaos_httpx._socket_readers import SocketReader

if TYPE_CHECKING:
    from hestiaos_httpx._exchange import Exchange

__all__ = ["TaskScope", "current_loop"]

T = TypeVar("T")

_log = logging.getLogger("hestiaos.httpx")


class TaskScope(Scope):
    """The scope of an exchange in a task."""

    asynchronous = True
    _waiting: CancelScope | None = None
    _unclosed: socket.socket | None = None
    _reader: SocketReader | None = None

    @staticmethod
    @coroutine
    def run(steps: Steps[T]) -> Steps[T]:
        return (yield from steps)

    @staticmethod
    def call_in(loop: Any, function: Callable[[], object]) -> bool:
        if isinstance(loop, asyncio.AbstractEventLoop):
            try:
                loop.call_soon_threadsafe(function)
            except RuntimeError:  # it is closed
                return False
        elif loop is None:
            return False
        else:
            try:
                loop.run_sync_soon(function)
            except sys.modules["trio"].RunFinishedError:
                return False
        return True

    @classmethod
    def drop(cls, loop: Any, exchange: Exchange[Any]) -> bool:
        if exchange.http.pool is None and loop is not None and asyncio._get_running_loop() is loop:
            cls._drop(loop, exchange)  # a turn later the loop may be over, and the task that closes it never run
            return True
        return cls.call_in(loop, partial(cls._drop, loop, exchange))

    @staticmethod
    def _drop(loop: Any, exchange: Exchange[Any]) -> None:
        exchange.release(keep=False)
        if not isinstance(loop, asyncio.AbstractEventLoop):
            try:
                sys.modules["trio"].lowlevel.spawn_system_task(_close, exchange)
            except RuntimeError:  # the run is ending and takes no more tasks
                # trio closes the remaining generators itself, and warns of those that were collected before.
                weakref.finalize(loop, bool, exchange).atexit = False
        elif exchange.http.pool is None:  # asyncio ends httpx's generators itself
            task = loop.create_task(_close(exchange))
            closing = exchange.http.closing
            closing.add(task)
            task.add_done_callback(closing.discard)

    def cancel(self) -> None:
        super().cancel()
        if self._waiting is not None:
            self._waiting.cancel()
        if self._reader is not None:
            self._reader.stop()

    def finish(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop()

    def close(self, sock: socket.socket) -> None:
        if self._reader is not None and self._reader.waited_for:
            self.cancel()  # its task finds the socket closed
        self.finish()
        if self._waiting is None:
            sock.close()
        else:  # event loops have to be notified first
            self._unclosed = sock
            self.cancel()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Steps[Any]:
        return (yield from function(*arguments).__await__())

    def bounded_call(self, function: Callable[..., Any], *arguments: Any) -> Steps[Any]:
        return self._within(inf, function, *arguments).__await__()

    def shielded_call(self, function: Callable[..., Any], *arguments: Any) -> Steps[Any]:
        return _shielded(function, *arguments).__await__()

    def wait_to_write(self, sock: socket.socket, until: float) -> Steps[None]:
        return self._within(until, wait_writable, sock).__await__()

    def receive(self, sock: socket.socket, max_bytes: int, until: float) -> Steps[bytes]:
        try:
            data = sock.recv(max_bytes) if self._reader is None else self._reader.receive_now(max_bytes)
        except BlockingIOError:
            return (yield from self._receive_later(sock, max_bytes, until).__await__())
        yield from checkpoint().__await__()  # so that other tasks run, however fast the server is
        return data

    async def _receive_later(self, sock: socket.socket, max_bytes: int, until: float) -> bytes:
        if self._reader is None and isinstance(loop := self._client.loop, asyncio.AbstractEventLoop):
            with suppress(NotImplementedError):
                self._reader = SocketReader(loop, sock)
        data: bytes | None = None
        while data is None:
            if self._reader is not None:
                data = await self._reader.receive(max_bytes, self.left(until))
            else:
                await self._within(until, wait_readable, sock)
                with suppress(BlockingIOError):
                    data = sock.recv(max_bytes)
        return data

    def look_up(self, host: bytes, port: int, until: float) -> Steps[list[Address]]:
        look_up = self._within(until, partial(getaddrinfo, host, port, type=socket.SOCK_STREAM))
        return [*(yield from look_up.__await__())]

    def event(self) -> tuple[Callable[[], object], Callable[[float], Steps[object]]]:
        event = Event()
        return event.set, lambda until: self._within(until, event.wait).__await__()

    async def _within(self, until: float, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        try:
            with move_on_after(self.left(until)) as self._waiting:
                return await function(*arguments)
        finally:
            self._waiting = None
            if self._unclosed is not None:
                self._unclosed.close()
        self.left(until)
        raise TimeoutError("timed out")


async def _shielded(function: Callable[..., Any], *arguments: Any) -> Any:
    with CancelScope(shield=True):
        return await function(*arguments)


def current_loop() -> object:
    """Return the running event loop: asyncio's loop or trio's token. Raises `RuntimeError` outside of one."""
    token = current_token()
    return getattr(token, "native_token", token)


async def _close(exchange: Exchange[Any]) -> None:
    try:
        await exchange.scope.run(exchange.close())
    except Exception:  # nothing can handle it, and in trio it would end the program
        _log.warning("closing the connection of a dropped stream failed", exc_info=True)
