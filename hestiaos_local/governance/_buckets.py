"""Token buckets, which limit the rate of calls that a rule throttles. Pure."""

from __future__ import annotations

from typing import Any, Self

from attrs import frozen

from hestiaos_local.governance._rules import Bucket

__all__ = ["BucketCounter"]


@frozen
class BucketCounter:
    """The level of a `Bucket` at a time. Each request adds 1, and `requests` drain evenly in `per` seconds.

    So at most `requests * (1 + s / per)` requests are admitted in any interval of s seconds. The stored time never
    decreases, since processes may charge the counter in another order than they read the clock. A stored time more
    than `per` in the future means that the clock was set back: it is replaced.
    """

    bucket: Bucket
    level: float = 0.0
    at: float = 0.0

    @classmethod
    def from_json(cls, bucket: Bucket, state: Any) -> Self:
        """Restore the counter from what `to_json` returned, or create an empty one if `state` is None."""
        return cls(bucket) if state is None else cls(bucket, state["level"], state["at"])

    def to_json(self) -> Any:
        """Return it as a JSON value."""
        return {"level": self.level, "at": self.at}

    def used(self, now: float) -> tuple[int, int]:
        """Return the number of requests in the bucket, rounded up, and 0 tokens."""
        return -int(-self._drained(now).level // 1), 0

    def wait(self, tokens: int, now: float) -> float:
        """Return in how many seconds a request can be admitted, 0 if now. A bucket ignores tokens."""
        drained = self._drained(now)
        over = drained.level + 1 - self.bucket.requests
        return 0.0 if over <= 0 else drained.at - now + over * self.bucket.per / self.bucket.requests

    def add(self, tokens: int, now: float) -> Self:
        """Return the counter with one more request."""
        drained = self._drained(now)
        return type(self)(self.bucket, drained.level + 1, drained.at)

    def place(self, now: float) -> int:
        """Return 0, as a bucket has no steps."""
        return 0

    def settle(self, reserved: int, tokens: int, place: int) -> Self:
        """Return the counter unchanged, as a bucket ignores tokens."""
        return self

    @property
    def until(self) -> float:
        """The time at which the counter is empty and can be deleted."""
        return self.at + self.level * self.bucket.per / self.bucket.requests

    def _drained(self, now: float) -> Self:
        at = self.at if now < self.at <= now + self.bucket.per else now
        passed = max(0.0, at - self.at)
        level = max(0.0, self.level - passed * self.bucket.requests / self.bucket.per)
        return type(self)(self.bucket, level, at)
