"""Receive from a socket in a task of asyncio.

anyio registers a socket with the event loop for each wait, which takes two system calls, and enters a cancel scope for
its timeout: together that costs more than the read. Here the socket stays registered from one wait to the next.
"""

from __future__ import annotations

import asyncio
import os
import socket

__all__ = ["SocketReader"]


class SocketReader:
    """Receives from a socket. Call `stop` before the socket is closed, or read by others.

    Raises `NotImplementedError` in an event loop that does not support it, such as Windows' proactor.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._socket = sock
        self._process = os.getpid()
        self._waiter: asyncio.Future[None] | None = None
        self._max_bytes = 0
        # What the task has not taken yet, or was cancelled before it could.
        self._received: bytes | OSError | None = None
        self._emptied = True  # the last read left nothing unread
        self._expires = 0.0  # when the wait ends, by the clock of the loop
        self._timer: asyncio.TimerHandle | None = None
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
        """Return what has arrived. Raises `OSError`, a `BlockingIOError` if there may be nothing."""
        received = self._take()
        if received is None:
            if self._emptied:
                raise BlockingIOError
            received = self._read(max_bytes)
        return received

    def _read(self, max_bytes: int) -> bytes:
        data = self._socket.recv(max_bytes)
        self._emptied = len(data) < max_bytes
        return data

    async def receive(self, max_bytes: int, seconds: float) -> bytes | None:
        """Wait for data. Return `None` after `seconds`, and after `stop`. Raises `OSError`."""
        if not self._registered:
            self._register()
        self._max_bytes = max_bytes
        self._expires = expires = self._loop.time() + seconds
        if self._timer is None or self._timer.when() > expires:
            self._set_timer()
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None
        return self._take()

    def _take(self) -> bytes | None:
        received, self._received = self._received, None
        if isinstance(received, OSError):
            raise received
        return received

    def _on_readable(self) -> None:
        # It is read here, not in the task: the event loop would report the socket once more before that has its turn.
        waiter = self._waiter
        if waiter is None:  # it would be reported in every turn
            self._unregister()
        elif not waiter.done():
            try:
                self._received = self._read(self._max_bytes)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._received = error
            waiter.set_result(None)

    # One timer that is rarely set again costs less than one for each wait.

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._expires, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        if self._loop.time() < self._expires:
            self._set_timer()
        else:
            self._wake()

    def stop(self) -> None:
        """Wake the task, and stop using the socket."""
        self._wake()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._unregister()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _unregister(self) -> None:
        if self._registered and self._process == os.getpid():  # a forked child would stop its parent's
            self._registered = False
            self._loop.remove_reader(self._socket)
