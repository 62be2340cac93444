"""Token buckets: the pace of what a rule throttles. Pure."""

from __future__ import annotations

from typing import Any, Self

from attrs import frozen

from hestiaos_local.governance._rules import Bucket

__all__ = ["BucketCounter"]


@frozen
class BucketCounter:
    """The level of a `Bucket` at a time: each request adds 1, and `requests` drain evenly in `per` seconds.

    So in any interval of s seconds at most `requests * (1 + s / per)` are admitted. The time never goes back, since
    processes read the clock in another order than they come here; one that is more than `per` ahead is of a clock that
    was set back, and goes.
    """

    bucket: Bucket
    level: float = 0.0
    at: float = 0.0

    @classmethod
    def from_json(cls, bucket: Bucket, state: Any) -> Self:
        """The counter that `to_json` gave; an empty one where there was none."""
        return cls(bucket) if state is None else cls(bucket, state["level"], state["at"])

    def to_json(self) -> Any:
        """It as a JSON value."""
        return {"level": self.level, "at": self.at}

    def used(self, now: float) -> tuple[int, int]:
        """The requests that count now, rounded up, and no tokens."""
        return -int(-self._drained(now).level // 1), 0

    def wait(self, tokens: int, now: float) -> float:
        """In how many seconds there is room for a request: 0 for now. A bucket does not count tokens."""
        drained = self._drained(now)
        over = drained.level + 1 - self.bucket.requests
        return 0.0 if over <= 0 else drained.at - now + over * self.bucket.per / self.bucket.requests

    def add(self, tokens: int, now: float) -> Self:
        """With one more request."""
        drained = self._drained(now)
        return type(self)(self.bucket, drained.level + 1, drained.at)

    def place(self, now: float) -> int:
        """0: a bucket has no steps."""
        return 0

    def settle(self, reserved: int, tokens: int, place: int) -> Self:
        """It as it is: a bucket does not count tokens."""
        return self

    @property
    def until(self) -> float:
        """The time from which on nothing of it counts."""
        return self.at + self.level * self.bucket.per / self.bucket.requests

    def _drained(self, now: float) -> Self:
        at = self.at if now < self.at <= now + self.bucket.per else now
        passed = max(0.0, at - self.at)
        level = max(0.0, self.level - passed * self.bucket.requests / self.bucket.per)
        return type(self)(self.bucket, level, at)
