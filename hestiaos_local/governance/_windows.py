"""Sliding windows: count what was admitted in the last seconds, and when more can be admitted. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, inf
from typing import Any, Self

from attrs import field, frozen

from hestiaos_local.governance._rules import Limit

__all__ = ["STEPS", "WindowCounter"]

STEPS = 60
"""The number of steps of a window. A request counts until its step has left the window."""


@frozen
class WindowCounter:
    """The requests and tokens admitted under a `Limit`, for each step of a sixtieth of its window.

    No interval of the window's length, wherever it begins, exceeds the limit. To ensure this, a request counts for up
    to one step longer than the window. The time of the last step never decreases, since processes may charge the
    counter in another order than they read the clock. Steps more than a window in the future mean that the clock was
    set back: they are dropped.
    """

    limit: Limit
    steps: Mapping[int, tuple[int, int]] = field(factory=dict)

    @classmethod
    def from_json(cls, limit: Limit, state: Any) -> Self:
        """Restore the counter from what `to_json` returned for the same window, or create one if `state` is None."""
        steps = () if state is None else state["steps"]
        return cls(limit, {number: (requests, tokens) for number, requests, tokens in steps})

    def to_json(self) -> Any:
        """Return it as a JSON value."""
        return {"steps": [[number, *used] for number, used in self.steps.items()]}

    def used(self, now: float) -> tuple[int, int]:
        """Return the number of requests and tokens that count now."""
        live = self._live(now).values()
        return sum(requests for requests, _ in live), sum(tokens for _, tokens in live)

    def wait(self, tokens: int, now: float) -> float:
        """Return in how many seconds a request with these tokens can be admitted, 0 if now, infinity if never."""
        requests_over = self._over(self.limit.requests, 1)
        tokens_over = self._over(self.limit.tokens, tokens)
        if requests_over > 0 or tokens_over > 0:
            return inf
        requests, used = self.used(now)
        requests_over, tokens_over = requests_over + requests, tokens_over + used
        wait = 0.0
        for number, (requests, used) in sorted(self._live(now).items()):
            if requests_over <= 0 and tokens_over <= 0:
                break
            requests_over, tokens_over = requests_over - requests, tokens_over - used
            wait = max((number + STEPS + 1) * self._step - now, self._step / STEPS)
        return wait

    def place(self, now: float) -> int:
        """Return the step in which a request admitted now counts."""
        number = floor(now / self._step)
        last = max(self.steps, default=number)
        return last if number < last <= number + STEPS else number

    def add(self, tokens: int, now: float) -> Self:
        """Return the counter with one more request of these tokens, without steps that do not count any more."""
        number = self.place(now)
        steps = self._live(now)
        requests, used = steps.get(number, (0, 0))
        return type(self)(self.limit, {**steps, number: (requests + 1, used + tokens)})

    def settle(self, reserved: int, tokens: int, place: int) -> Self:
        """Return the counter with `tokens` instead of those `reserved` for a request in step `place`."""
        if place not in self.steps:  # the request does not count any more
            return self
        requests, used = self.steps[place]
        return type(self)(self.limit, {**self.steps, place: (requests, max(0, used - reserved + tokens))})

    @property
    def until(self) -> float:
        """The time at which the counter is empty and can be deleted."""
        return (max(self.steps, default=0) + STEPS + 1) * self._step

    @property
    def _step(self) -> float:
        return self.limit.window / STEPS

    def _live(self, now: float) -> dict[int, tuple[int, int]]:
        current = self.place(now)
        return {number: used for number, used in self.steps.items() if current - STEPS <= number <= current}

    @staticmethod
    def _over(limit: int | None, wanted: int) -> float:
        return -inf if limit is None else wanted - limit
