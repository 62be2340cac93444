"""Lines for synchronous exchanges: httpx clients that have one connection each.

httpx does not tell over which of its connections a request goes before the response is there. To end a blocked read
one must know, so each exchange has a line of its own, and each line's connection is known.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
from attrs import define

from hestiaos_proto import Send

__all__ = ["Line", "Lines"]


@define(eq=False)
class Line:
    """A httpx client for one exchange at a time; `network` is httpcore's stream of the connection that it used last."""

    client: httpx.Client
    network: Any = None
    idle_since: float = 0.0


class Lines:
    """As many lines at a time as the limits have connections; the one that was used last is used first.

    `shared` is for a transport that was given to us: whatever its connections are, all lines are the one client for it.
    """

    def __init__(self, new_client: Callable[[], httpx.Client], limits: httpx.Limits, *, shared: bool) -> None:
        self._new_client = new_client
        self._limits = limits
        self._shared = new_client() if shared else None
        most = limits.max_connections
        self._places = threading.Semaphore(sys.maxsize if most is None else most)
        self._lines: set[Line] = set()
        self._spare: list[Line] = []
        self._lock = threading.RLock()  # a finalizer may give a line back while this thread has it

    def take(self, send: Send) -> Line:
        """A line, to be given back. Raises `TimedOut` where none becomes free."""
        if self._shared is not None:
            return Line(self._shared)
        if not self._places.acquire(timeout=send.deadline.bound(send.timeout)):
            late = send.deadline.late(f"every connection to {send.request.origin} stayed in use for too long")
            late.request_sent = False
            raise late
        try:
            with self._lock:
                line = self._spare.pop() if self._spare else Line(self._new_client())
                self._lines.add(line)
        except BaseException:  # Ctrl-C, or a proxy that the environment names wrongly; it is raised again
            self._places.release()
            raise
        return line

    def give_back(self, line: Line) -> None:
        """Take a line back, and close those that were not used for too long."""
        with self._lock:
            if line not in self._lines:
                return  # it is a shared one, or was closed with all others
            line.idle_since = time.monotonic()
            self._spare.append(line)
            while self._spare and self._is_surplus(self._spare[0], line.idle_since):
                surplus = self._spare.pop(0)
                self._lines.discard(surplus)
                surplus.client.close()
        self._places.release()

    def close(self) -> None:
        """Close every line, those that are in use too."""
        # Without the lock: in a forked process, a thread may have it that is not there any more.
        if self._shared is not None:
            self._shared.close()
        self._spare.clear()
        while self._lines:
            self._lines.pop().client.close()

    def _is_surplus(self, line: Line, now: float) -> bool:
        most, kept = self._limits.max_keepalive_connections, self._limits.keepalive_expiry
        return (most is not None and len(self._spare) > most) or (kept is not None and now - line.idle_since > kept)
