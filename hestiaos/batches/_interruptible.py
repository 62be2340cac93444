"""A thread and a latch that Ctrl-C does not break.

`threading.Event` uses a Condition: an exception of a signal handler, raised at any of its lines, can leave its lock
locked forever.
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
    """A worker thread whose start and end Ctrl-C cannot break.

    `Thread.start` waits for an Event, whose lock Ctrl-C can leave locked forever. Only the main thread receives Ctrl-C,
    so another thread calls it.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(name="hestiaos batch", daemon=True)
        self.ended = False
        context = copy_context()
        self._work: Callable[[], None] = lambda: context.run(work)
        self._begun = False
        self._running = threading.Lock()

    def begin(self) -> None:
        """Start the thread, in one step that an interrupt cannot divide."""
        start_new_thread(self._start, ())

    def run(self) -> None:
        with self._running:
            self._begun = True
            try:
                self._work()
            finally:
                self.ended = True

    def wait(self) -> None:
        """Wait until the thread has ended."""
        for _ in range(1000):  # it may be starting, or Ctrl-C may have prevented its start
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
        except RuntimeError:  # no more threads can be started: work in this one
            self.run()


class Latch:
    """An event that any thread, signal handler, or finalizer can set."""

    def __init__(self) -> None:
        self.is_set = False
        self._queue: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """End all current and future waits."""
        self.is_set = True
        self._queue.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until it is set, for at most this many seconds."""
        try:
            self._queue.get(timeout=seconds)
        except Empty:
            return
        self._queue.put(None)  # wakes the next waiter
