"""What the platform measures of itself: time, requests, the machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

__all__ = ["Measurements", "elapsed"]


def elapsed(began: float, ended: float) -> float:
    """The seconds between two times of a clock, which may have been set back in between: never less than 0."""
    return max(0.0, ended - began)


class Measurements:
    """Counts from the moment it is made. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._cpu_began = time.process_time()
        self._lock = Lock()
        self._requests = 0
        self._answered = 0
        self._busy = 0.0  # seconds

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request, and how long it takes to answer."""
        with self._lock:
            self._requests += 1
        began = self._clock()
        try:
            yield
        finally:
            taken = elapsed(began, self._clock())
            with self._lock:
                self._answered += 1
                self._busy += taken

    def uptime(self) -> float:
        """The seconds since all began."""
        return elapsed(self._began, self._clock())

    def metrics(self) -> dict[str, Any]:
        """The numbers so far, named as on the wire. There is no GPU to measure."""
        uptime = self.uptime()
        with self._lock:
            return {
                "cpu_percent": (time.process_time() - self._cpu_began) / uptime * 100 if uptime else 0.0,
                "memory_percent": _memory_percent(),
                "requests_total": self._requests,
                "avg_latency_ms": self._busy / max(1, self._answered) * 1000,
                "gpu_percent": None,
                "vram_percent": None,
                "vram_used_bytes": None,
                "vram_total_bytes": None,
            }


def _memory_percent() -> float:
    """How much of the machine's memory is in use; 0 where the system does not tell."""
    try:
        return 100.0 * (1 - os.sysconf("SC_AVPHYS_PAGES") / os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError):  # no POSIX system, or one that does not know the name
        return 0.0
