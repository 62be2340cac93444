"""The time that a call has left, by a clock that is passed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from hestiaos_proto._errors import TimedOut

__all__ = ["Deadline"]


class Deadline:
    """`seconds` from now, or never for `None`. `clock` counts seconds and never decreases."""

    def __init__(self, clock: Callable[[], float], seconds: float | None) -> None:
        self._clock = clock
        self._seconds = seconds
        self._end = None if seconds is None else clock() + seconds

    @classmethod
    def never(cls) -> Self:
        """Return a deadline that never passes."""
        return cls(lambda: 0.0, None)

    def left(self) -> float | None:
        """Return the seconds left, at least 0, or `None` if the deadline never passes."""
        return None if self._end is None else max(0.0, self._end - self._clock())

    def bound(self, seconds: float) -> float:
        """Return `seconds`, or the time left if that is less."""
        left = self.left()
        return seconds if left is None else min(seconds, left)

    def check(self) -> None:
        """Raise `TimedOut` if no time is left."""
        if self._end is not None and self._clock() >= self._end:
            raise self.expired_error()

    def timeout_error(self, message: str) -> TimedOut:
        """Return the exception for a wait that took too long, with this message unless the deadline has passed."""
        return self.expired_error() if self.left() == 0 else TimedOut(message)

    def expired_error(self) -> TimedOut:
        """Return the exception for a deadline that has passed."""
        return TimedOut(f"the call took longer than its deadline of {self._seconds:g} s")
