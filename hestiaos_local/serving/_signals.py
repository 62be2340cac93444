"""SIGTERM and SIGINT: the first goes to the event loop, the second ends the process."""

from __future__ import annotations

import os
import signal
import socket
from types import FrameType, TracebackType
from typing import Any, Self

from anyio import wait_readable

__all__ = ["StopSignals"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Handles the signals that stop a program, from `with` on. It needs the main thread.

    The handlers are Python's own, so that the second signal works even where the event loop does not turn any more,
    and in the first process of a container too, for which the system's default is to ignore SIGTERM.
    """

    def __enter__(self) -> Self:
        self._came = False
        self._told, self._tell = socket.socketpair()
        self._told.setblocking(False)
        self._tell.setblocking(False)
        self._before: dict[signal.Signals, Any] = {}
        for each in _SIGNALS:
            self._before[each] = signal.signal(each, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)
        self._told.close()
        self._tell.close()

    async def wait(self) -> None:
        """Wait for the first signal."""
        await wait_readable(self._told)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            os._exit(128 + number)  # as a shell reports a process that was killed
        self._came = True
        self._tell.send(b"\0")
