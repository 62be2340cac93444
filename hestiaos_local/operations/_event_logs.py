"""The events of runs, kept for clients that lost the connection and go on after a `Last-Event-ID`.

A run that is under way, or ended a short time ago, has its log here, in the memory of the process that executes it.
What is over longer, or was executed by another process, comes from the result that is stored for its Idempotency-Key.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import Any

from hestiaos_proto import NumberedEvent, StatusError, StreamEvent, json

__all__ = ["EventLog", "EventLogs", "check_place", "forgotten", "number_of"]

_ID = re.compile(r"([!-~]{1,200})/(0|[1-9][0-9]{0,17})")

# In bytes, of the JSON of the events' data:
_LARGEST_LOG = 1024**2  # of one run; what is older than its last MiB is forgotten
_ALL_LOGS = 64 * 1024**2  # of the runs that are over
_STORED = 64 * 1024  # what is stored with the result; at most 1,000 of these are kept

_KEPT = 300.0  # seconds after the end of the run
_OVERHEAD = 100  # of each event


def number_of(last_event_id: str) -> tuple[str, int]:
    """The trace id and the number of a `Last-Event-ID`. Raises `StatusError` 400 for one that is not ours."""
    found = _ID.fullmatch(last_event_id)
    if found is None:
        raise StatusError("Last-Event-ID must be {trace_id}/{number}", code="INVALID_LAST_EVENT_ID")
    return found[1], int(found[2])


def check_place(last_event_id: str, trace_id: str, count: int, *, over: bool) -> int:
    """The number of the event that follows `last_event_id`, in a run of this trace that has had `count` events.

    Raises `StatusError` 409 for the id of another run's event, of one that has not come yet, and of the last of all,
    which nothing follows.
    """
    run, number = number_of(last_event_id)
    if run != trace_id or number >= (count - 1 if over else count):
        raise StatusError(
            "no event follows this Last-Event-ID in the run with this Idempotency-Key",
            status_code=409,
            code="UNKNOWN_EVENT",
        )
    return number + 1


class EventLog:
    """The events of one run, numbered. `fingerprint` is that of its request, and so of who asked.

    `readers` is the number of clients that follow it, beside the one whose request began the run.
    """

    def __init__(self, fingerprint: str = "") -> None:
        self.fingerprint: str = fingerprint
        self.readers: int = 0
        self.closed: bool = False
        self.count: int = 0
        self.size: int = 0
        self._events: deque[tuple[NumberedEvent, int]] = deque()

    @property
    def trace_id(self) -> str:
        """The trace id of the run; `""` before its first event."""
        return self._events[-1][0].trace_id if self._events else ""

    @property
    def complete(self) -> bool:
        """Whether its last event is the last of the run."""
        return bool(self._events) and self._events[-1][0].type == "done"

    def append(self, event: StreamEvent) -> NumberedEvent:
        """Number the next event, and keep it."""
        numbered = NumberedEvent(
            event.type, event.data, event.trace_id, event.timestamp, extra=event.extra, number=self.count
        )
        size = _OVERHEAD + len(json.dumps(event.data))
        self._events.append((numbered, size))
        self.count += 1
        self.size += size
        while self.size > _LARGEST_LOG and len(self._events) > 1:
            self.size -= self._events.popleft()[1]
        return numbered

    def after(self, number: int) -> list[NumberedEvent]:
        """The events from this number on that have come. Raises `StatusError` 409 if the first of them is forgotten."""
        events = [event for event, _ in list(self._events) if event.number >= number]
        if number < self.count and (not events or events[0].number != number):
            raise forgotten()
        return events

    def stored(self) -> list[list[Any]] | None:
        """The events as they are stored with the result; `None` if that would be too large."""
        if self.size > _STORED:
            return None
        return [[event.type, event.data, event.timestamp] for event, _ in self._events]


def forgotten(why: str = "the events of this run are not kept any more") -> StatusError:
    """The refusal to go on after an event."""
    return StatusError(
        f"{why}: its stream cannot go on",
        status_code=409,
        code="EVENTS_FORGOTTEN",
    )


class EventLogs:
    """The logs of the runs of one process, by Idempotency-Key. Several threads may use it.

    The log of a run that is over is kept for some minutes; where those together are too large, the oldest go first.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._logs: dict[str, EventLog] = {}
        self._over: deque[tuple[float, str, EventLog]] = deque()
        self._size = 0  # of those that are over

    def get(self, key: str) -> EventLog | None:
        """The log of the run that this key's request began."""
        with self._lock:
            self._forget()
            return self._logs.get(key)

    def add(self, key: str, log: EventLog) -> None:
        """Keep the log of a run that begins."""
        with self._lock:
            self._forget()
            self._logs[key] = log

    def close(self, key: str, log: EventLog) -> None:
        """Note that a run is over. One that was given up is forgotten: it has no end that could be told."""
        with self._lock:
            log.closed = True
            if self._logs.get(key) is not log:
                return
            if log.complete:
                self._over.append((self._clock(), key, log))
                self._size += log.size
            else:
                del self._logs[key]

    def _forget(self) -> None:
        oldest = self._clock() - _KEPT
        while self._over and (self._over[0][0] <= oldest or self._size > _ALL_LOGS):
            _, key, log = self._over.popleft()
            self._size -= log.size
            if self._logs.get(key) is log:
                del self._logs[key]
