"""Admission: what a call is charged under a policy's limits, and whether there is room for it. Pure.

A call is charged before it is executed, for one request and for as many tokens as it may use; afterwards what it used
takes the place of what was reserved. `Storage.reserve` and `Storage.settle` do that in one transaction each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
from attrs import frozen

from hestiaos_local.governance._buckets import BucketCounter
from hestiaos_local.governance._facts import Facts
from hestiaos_local.governance._rules import Bucket, Limit, Verdict
from hestiaos_local.governance._windows import WindowCounter

__all__ = [
    "DEFAULT_OUTPUT_TOKENS",
    "Charge",
    "Counter",
    "CounterUse",
    "Exhausted",
    "Reservation",
    "TokenPlan",
    "admit",
    "charges_for",
    "plan_tokens",
]

DEFAULT_OUTPUT_TOKENS = 1024
"""How many tokens a call under a limit of tokens may have written that does not say how many it wants."""

Counter = WindowCounter | BucketCounter
"""What counts under one limit or bucket, for one key, agent or session."""


@frozen(kw_only=True)
class Charge:
    """What one call takes of a policy's limit, or of the bucket of a rule: one request, and `tokens`.

    `name` is the limit's or the rule's; `per` what is counted apart (`key`, `agent`, `session`, `all`, and `rule` of a
    bucket), and `subject` the name of that. Those that have none (a run without a session) have one counter: `""`.
    """

    name: str
    per: str
    subject: str
    limit: Limit | Bucket
    tokens: int = 0

    def counter(self, state: Any) -> Counter:
        """The counter that it goes to, from its state as JSON, `None` for a new one."""
        if isinstance(self.limit, Bucket):
            return BucketCounter.from_json(self.limit, state)
        return WindowCounter.from_json(self.limit, state)

    @property
    def window(self) -> float:
        """The seconds in which it counts. Each window has a counter of its own."""
        return self.limit.per if isinstance(self.limit, Bucket) else self.limit.window

    @property
    def counts_tokens(self) -> bool:
        """Whether its limit is one of tokens."""
        return isinstance(self.limit, Limit) and self.limit.tokens is not None

    def use(self, counter: Counter, now: float) -> CounterUse:
        """What is used of its limit."""
        requests, tokens = counter.used(now)
        limit = self.limit
        if isinstance(limit, Bucket):
            return CounterUse(self.name, self.per, self.subject, self.window, requests, limit.requests)
        return CounterUse(
            self.name, self.per, self.subject, self.window, requests, limit.requests, tokens, limit.tokens
        )


@frozen
class CounterUse:
    """What is used of a limit in its window, in seconds; `max_requests` and `max_tokens` are `None` where unlimited."""

    limit: str
    per: str
    subject: str
    window: float
    requests: int
    max_requests: int | None
    tokens: int = 0
    max_tokens: int | None = None

    def to_json(self) -> dict[str, Any]:
        """It as a JSON object, for a trace."""
        return attrs.asdict(self)


@frozen
class Reservation:
    """The call was admitted. `places` are the steps in which it counts under each limit.

    `used` has what is used of each limit, this call included.
    """

    charges: tuple[Charge, ...] = ()
    places: tuple[int, ...] = ()
    used: tuple[CounterUse, ...] = ()


@frozen
class Exhausted:
    """There is no room: `limit` is the name of the one that will have it last, in `retry_after` seconds.

    That is infinity where the call alone is more than the limit. `used` has what is used of each limit.
    """

    limit: str
    retry_after: float
    used: tuple[CounterUse, ...]


def admit(
    charges: Sequence[Charge], counters: Sequence[Counter], now: float
) -> tuple[Reservation, list[Counter]] | Exhausted:
    """Charge each counter, or, where one has no room, none."""
    waits = [counter.wait(charge.tokens, now) for charge, counter in zip(charges, counters, strict=True)]
    longest = max(waits, default=0.0)
    if longest > 0:
        used = tuple(charge.use(counter, now) for charge, counter in zip(charges, counters, strict=True))
        return Exhausted(charges[waits.index(longest)].name, longest, used)
    charged = [counter.add(charge.tokens, now) for charge, counter in zip(charges, counters, strict=True)]
    used = tuple(charge.use(counter, now) for charge, counter in zip(charges, charged, strict=True))
    places = tuple(counter.place(now) for counter in charged)
    return Reservation(tuple(charges), places, used), charged


def charges_for(limits: Iterable[Limit], verdict: Verdict, facts: Facts, tokens: int) -> tuple[Charge, ...]:
    """What a call with these facts is charged; `tokens` are those that it may use, of what it reads and writes."""
    charges = [
        Charge(
            name=limit.name,
            per=limit.per,
            subject="" if limit.per == "all" else getattr(facts, limit.per) or "",
            limit=limit,
            tokens=0 if limit.tokens is None else tokens,
        )
        for limit in limits
    ]
    if verdict.bucket is not None:
        charges.append(Charge(name=verdict.rule or "", per="rule", subject="", limit=verdict.bucket))
    return tuple(charges)


@frozen
class TokenPlan:
    """`reserved` tokens are to be charged; `max_tokens` is how many may be written, `None` for any number."""

    reserved: int
    max_tokens: int | None


def plan_tokens(limits: Iterable[Limit], input_tokens: int, max_tokens: int | None) -> TokenPlan:
    """How many tokens a call may use, of which `input_tokens` are read, and at most `max_tokens` are to be written.

    Under a limit of tokens a call that does not say how many it wants may write `DEFAULT_OUTPUT_TOKENS`, and none may
    write more than the lowest limit leaves for it. So what is written never exceeds what is reserved.
    """
    most = min((limit.tokens for limit in limits if limit.tokens is not None), default=None)
    if most is None:
        return TokenPlan(0, max_tokens)
    written = DEFAULT_OUTPUT_TOKENS if max_tokens is None else max_tokens
    written = max(1, min(written, most - input_tokens))  # of 0 models make what they like
    return TokenPlan(input_tokens + written, written)
