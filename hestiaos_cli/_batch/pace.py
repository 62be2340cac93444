"""When a batch may send, after a server has refused one of its requests."""

from __future__ import annotations

__all__ = ["Pace"]


class Pace:
    """The pause that all workers of a batch share. Times are seconds of one clock, which the caller reads.

    Requests that were on their way together are refused in one round. After more than `retries` rounds in a row, with
    nothing accepted in between, the batch is given up.
    """

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._until = float("-inf")
        self._refused = float("-inf")  # when the latest round began
        self.rounds = 0
        """Those in a row."""

    @property
    def given_up(self) -> bool:
        """Whether the server has refused everything for too long."""
        return self.rounds > self._retries

    def left(self, now: float) -> float:
        """The seconds until a request may be sent, 0 where it may be sent now."""
        return max(0.0, self._until - now)

    def refuse(self, seconds: float | None, sent: float, now: float) -> bool:
        """A request that was sent at `sent` was refused. Returns whether to repeat it.

        All wait `seconds`; `None` where that would be too long, which is no reason for the others to wait.
        """
        if sent >= self._refused:
            self.rounds += 1
            self._refused = now
        if seconds is None or self.given_up:
            return False
        self._until = max(self._until, now + seconds)
        return True

    def accept(self) -> None:
        """A request was not refused. That is too late where the batch was given up."""
        if not self.given_up:
            self.rounds = 0
