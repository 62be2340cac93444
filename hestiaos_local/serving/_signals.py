"""Signals: SIGTERM and SIGINT stop a program, the second ends it; SIGHUP has it read its files anew."""

from __future__ import annotations

import os
import signal
import socket
from types import FrameType, TracebackType
from typing import Any, Self

from anyio import wait_readable

__all__ = ["Signals"]

_STOP = (signal.SIGTERM, signal.SIGINT)
_RELOAD = getattr(signal, "SIGHUP", None)  # Windows has none


class Signals:
    """Handles the signals, from `with` on; SIGHUP where it is to `reload`. It needs the main thread.

    The handlers are Python's own, so that the second signal works even where the event loop does not turn any more,
    and in the first process of a container too, for which the system's default is to ignore SIGTERM.
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
        """Wait for the next signal. Returns whether it is one to stop at; else the files are to be read anew."""
        await wait_readable(self._told)
        self._told.recv(1)
        self._reloading = False
        return self._stopping

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:
            os._exit(128 + number)  # as a shell reports a process that was killed
        self._stopping = True
        self._tell.send(b"\0")

    def _reload(self, number: int, frame: FrameType | None) -> None:
        if self._at_terminal and not _has_terminal():
            if not self._stopping:  # a shell sends it again
                self._stop(number, frame)
        elif not self._reloading:
            self._reloading = True
            self._tell.send(b"\0")


def _has_terminal() -> bool:
    """Whether this process has a terminal, whose end SIGHUP says (POSIX, "General Terminal Interface")."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True
