"""Sliding windows: how much was admitted in the last so many seconds, and when there is room again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, inf
from typing import Any, Self

from attrs import field, frozen

from hestiaos_local.governance._rules import Limit

__all__ = ["STEPS", "WindowCounter"]

STEPS = 60
"""In how many steps a window slides: what was admitted counts until its step has left the window."""


@frozen
class WindowCounter:
    """What was admitted under a `Limit`, in steps of a sixtieth of its window; each step has requests and tokens.

    No interval as long as the window, wherever it begins, has more in it than the limit. For that, what was admitted
    counts for up to one step longer than the window. The time never goes back, since processes read the clock in
    another order than they come here; steps that are more than a window ahead are of a clock that was set back, and go.
    """

    limit: Limit
    steps: Mapping[int, tuple[int, int]] = field(factory=dict)

    @classmethod
    def from_json(cls, limit: Limit, state: Any) -> Self:
        """The counter that `to_json` gave, under a limit of the same window; a new one where there was none."""
        steps = () if state is None else state["steps"]
        return cls(limit, {number: (requests, tokens) for number, requests, tokens in steps})

    def to_json(self) -> Any:
        """It as a JSON value."""
        return {"steps": [[number, *used] for number, used in self.steps.items()]}

    def used(self, now: float) -> tuple[int, int]:
        """The requests and tokens that count now."""
        live = self._live(now).values()
        return sum(requests for requests, _ in live), sum(tokens for _, tokens in live)

    def wait(self, tokens: int, now: float) -> float:
        """In how many seconds there is room for a request with so many tokens: 0 for now, infinity for never."""
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
        """The step in which a request counts that is admitted now."""
        number = floor(now / self._step)
        last = max(self.steps, default=number)
        return last if number < last <= number + STEPS else number

    def add(self, tokens: int, now: float) -> Self:
        """With one more request, of so many tokens. What does not count any more is left out."""
        number = self.place(now)
        steps = self._live(now)
        requests, used = steps.get(number, (0, 0))
        return type(self)(self.limit, {**steps, number: (requests + 1, used + tokens)})

    def settle(self, reserved: int, tokens: int, place: int) -> Self:
        """With `tokens` in place of those `reserved` for a request that counts in this step."""
        if place not in self.steps:  # it does not count any more
            return self
        requests, used = self.steps[place]
        return type(self)(self.limit, {**self.steps, place: (requests, max(0, used - reserved + tokens))})

    @property
    def until(self) -> float:
        """The time from which on nothing of it counts."""
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
