"""Logs of the events of runs, with which clients resume a stream after a `Last-Event-ID`.

A run in progress, or one that ended a short time ago, has its log here, in the memory of the process that executes it.
For an older run, or one executed by another process, the events are in the result stored for its Idempotency-Key.
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
_LARGEST_LOG = 1024**2  # of one run; older events are dropped
_ALL_LOGS = 64 * 1024**2  # of all runs that have ended
_STORED = 64 * 1024  # of one run, stored with its result

_KEPT = 300.0  # seconds that a log is kept after the end of its run
_OVERHEAD = 100  # memory of an event besides its data


def number_of(last_event_id: str) -> tuple[str, int]:
    """Parse a `Last-Event-ID` into trace id and number. Raises `StatusError` 400 if it does not have this format."""
    found = _ID.fullmatch(last_event_id)
    if found is None:
        raise StatusError("Last-Event-ID must be {trace_id}/{number}", code="INVALID_LAST_EVENT_ID")
    return found[1], int(found[2])


def check_place(last_event_id: str, trace_id: str, count: int, *, over: bool) -> int:
    """Return the number of the event after `last_event_id`, in the run with this trace and `count` events so far.

    Raises `StatusError` 409 for the id of an event of another run, of a future event, and of the last event of a run
    that is `over`.
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
    """The numbered events of one run. `fingerprint` identifies the request and its caller.

    `readers` is the number of clients that follow the log, in addition to the one that began the run.
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
        """The trace id of the run, empty before its first event."""
        return self._events[-1][0].trace_id if self._events else ""

    @property
    def complete(self) -> bool:
        """Whether the log has the last event of the run."""
        return bool(self._events) and self._events[-1][0].type == "done"

    def append(self, event: StreamEvent) -> NumberedEvent:
        """Number an event, and append it."""
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
        """Return the events so far from this number on. Raises `StatusError` 409 if the first of them was dropped."""
        events = [event for event, _ in list(self._events) if event.number >= number]
        if number < self.count and (not events or events[0].number != number):
            raise forgotten()
        return events

    def stored(self) -> list[list[Any]] | None:
        """Return the events for storing them with the result, or None if they are too large."""
        if self.size > _STORED:
            return None
        return [[event.type, event.data, event.timestamp] for event, _ in self._events]


def forgotten(why: str = "the events of this run are not kept any more") -> StatusError:
    """Return the refusal to resume a stream."""
    return StatusError(
        f"{why}: its stream cannot be resumed",
        status_code=409,
        code="EVENTS_FORGOTTEN",
    )


class EventLogs:
    """The logs of the runs of one process, by Idempotency-Key. Several threads may use it.

    After a run has ended, its log is kept for some minutes. If the logs are too large together, the oldest are dropped.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = Lock()
        self._logs: dict[str, EventLog] = {}
        self._over: deque[tuple[float, str, EventLog]] = deque()
        self._size = 0  # of the runs that have ended

    def get(self, key: str) -> EventLog | None:
        """Return the log of the run that was begun with this key, or None."""
        with self._lock:
            self._forget()
            return self._logs.get(key)

    def add(self, key: str, log: EventLog) -> None:
        """Add the log of a run that begins."""
        with self._lock:
            self._forget()
            self._logs[key] = log

    def close(self, key: str, log: EventLog) -> None:
        """Close the log of a run that has ended. The log of a cancelled run is dropped, as it cannot be completed."""
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
