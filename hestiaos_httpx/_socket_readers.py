"""Receives from a socket in a task of asyncio.

anyio registers a socket with the event loop for each wait, which takes two system calls, and enters a cancel scope for
its timeout: together that costs more than the read. Here the socket stays registered from one wait to the next.
"""

from __future__ import annotations

import asyncio
import os
import socket

__all__ = ["SocketReader"]


class SocketReader:
    """Receives from a socket; `stop` it before that is closed, or read by others.

    Raises `NotImplementedError` in an event loop that cannot do it, as Windows' proactor.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._socket = sock
        self._process = os.getpid()
        self._waiter: asyncio.Future[None] | None = None
        self._max_bytes = 0
        self._received: bytes | None = None  # what a task that was cancelled has not taken
        self._registered = False
        self._register()

    def _register(self) -> None:
        self._loop.add_reader(self._socket, self._on_readable)
        self._registered = True

    @property
    def waited_for(self) -> bool:
        """Whether a task waits."""
        return self._waiter is not None

    def receive_now(self, max_bytes: int) -> bytes:
        """What has arrived. Raises `OSError`, a `BlockingIOError` where nothing has."""
        received, self._received = self._received, None
        return self._socket.recv(max_bytes) if received is None else received

    async def receive(self, max_bytes: int, seconds: float) -> bytes | None:
        """What arrives next; `None` after `seconds`, and after `stop`. Raises `OSError`."""
        if not self._registered:
            self._register()
        self._max_bytes = max_bytes
        self._waiter = waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None
        received, self._received = self._received, None
        return received

    def _on_readable(self) -> None:
        # Here, not in the task: the event loop would report the socket once more before that has its turn.
        waiter = self._waiter
        if waiter is None:  # it would be reported in every turn
            self.stop()
        elif not waiter.done():
            try:
                self._received = self._socket.recv(self._max_bytes)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                waiter.set_exception(error)
            else:
                waiter.set_result(None)

    def stop(self) -> None:
        """Wake the task, and let go of the socket."""
        if self._waiter is not None:
            _wake(self._waiter)
        if self._registered and self._process == os.getpid():  # a forked child would stop its parent's
            self._registered = False
            self._loop.remove_reader(self._socket)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
