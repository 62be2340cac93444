"""A thread and a latch that Ctrl-C does not break.

`threading.Event` is a Condition: an exception of a signal handler, which can come at any of its lines, takes its lock
away for ever.
"""

from __future__ import annotations

import threading
from _thread import start_new_thread
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from time import sleep

__all__ = ["Latch", "Thread"]


class Thread(threading.Thread):
    """A worker, which Ctrl-C disturbs neither at its start nor at its end.

    `Thread.start` waits for an Event, whose lock Ctrl-C can take away for ever; only the main thread gets it, so that
    another one starts this.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(name="hestiaos batch", daemon=True)
        self.ended = False
        context = copy_context()
        self._work: Callable[[], None] = lambda: context.run(work)
        self._begun = False
        self._running = threading.Lock()

    def begin(self) -> None:
        """Start it, one step that is done or not done."""
        start_new_thread(self._start, ())

    def run(self) -> None:
        with self._running:
            self._begun = True
            try:
                self._work()
            finally:
                self.ended = True

    def wait(self) -> None:
        """Wait for its end."""
        for _ in range(1000):  # Ctrl-C came before its start, or it is being started, and has nothing to do
            if self._begun:
                break
            sleep(0.001)
        with self._running:
            pass
        if self.is_alive():
            self.join()

    def _start(self) -> None:
        try:
            self.start()
        except RuntimeError:  # the system has no more threads: the one that it had does the work
            self.run()


class Latch:
    """It is set by any thread, signal handler, or finalizer, and ends the waits for it."""

    def __init__(self) -> None:
        self.is_set = False
        self._queue: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """End each wait, now and later."""
        self.is_set = True
        self._queue.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until it is set, for up to so long."""
        try:
            self._queue.get(timeout=seconds)
        except Empty:
            return
        self._queue.put(None)  # for the next who waits
