"""Signals: SIGTERM and SIGINT stop the server, a second one ends the process; SIGHUP reloads its files."""

from __future__ import annotations

import os
import signal
import socket
from types import FrameType, TracebackType
from typing import Any, Self

from anyio import wait_readable

__all__ = ["Signals"]

_STOP = (signal.SIGTERM, signal.SIGINT)
_RELOAD = getattr(signal, "SIGHUP", None)  # not on Windows


class Signals:
    """Handles the signals within a `with` block, in the main thread; SIGHUP only with `reload`.

    The handlers are installed with `signal.signal`. Hence the second signal works even if the event loop is blocked,
    and SIGTERM also works in the first process of a container, where the system ignores it by default.
    """

    def __init__(self, *, reload: bool) -> None:
        self._handlers: dict[Any, Any] = dict.fromkeys(_STOP, self._stop)
        if reload and _RELOAD is not None:
            self._handlers[_RELOAD] = self._reload

    def __enter__(self) -> Self:
        self._stopping = False
        self._reloading = False
        self._told, self._tell = socket.socketpair()
        self._told.setblocking(False)
        self._tell.setblocking(False)
        self._before = {number: signal.signal(number, handler) for number, handler in self._handlers.items()}
        self._at_terminal = self._before.get(_RELOAD) is not signal.SIG_IGN and _has_terminal()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._told.close()
        self._tell.close()

    async def wait(self) -> bool:
        """Wait for the next signal. Return True for one to stop, False for one to reload."""
        await wait_readable(self._told)
        self._told.recv(1)
        self._reloading = False
        return self._stopping

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            os._exit(128 + number)  # the status that a shell reports for a process killed by the signal
        self._stopping = True
        self._tell.send(b"\0")

    def _reload(self, number: int, frame: FrameType | None) -> None:
        if self._at_terminal and not _has_terminal():
            if not self._stopping:  # a shell may send SIGHUP again
                self._stop(number, frame)
        elif not self._reloading:
            self._reloading = True
            self._tell.send(b"\0")


def _has_terminal() -> bool:
    """Return whether this process has a terminal; SIGHUP then means its end (POSIX, "General Terminal Interface")."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True
