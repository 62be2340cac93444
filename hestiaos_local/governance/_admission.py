"""Admission: charge calls to the limits of a policy, and refuse those that exceed them. Pure.

Before it is executed, a call is charged one request and the maximum number of tokens that it may use. Afterwards, the
tokens that it used replace the reserved ones. `Storage.reserve` and `Storage.settle` each do this in one transaction.
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
"""The maximum output, in tokens, of a call under a token limit that does not specify one."""

Counter = WindowCounter | BucketCounter
"""The use of one limit or bucket by one key, agent or session."""


@frozen(kw_only=True)
class Charge:
    """What one call is charged under a limit of the policy or the bucket of a rule: one request, and `tokens`.

    `name` is the name of the limit or rule. `per` is what has counters of its own: `key`, `agent`, `session`, `all`,
    or `rule` for a bucket. `subject` is the name of that key, agent or session. Calls without one, such as a run
    without a session, share the counter of the subject `""`.
    """

    name: str
    per: str
    subject: str
    limit: Limit | Bucket
    tokens: int = 0

    def counter(self, state: Any) -> Counter:
        """Restore the counter to charge from its state as JSON, or create one if it is None."""
        if isinstance(self.limit, Bucket):
            return BucketCounter.from_json(self.limit, state)
        return WindowCounter.from_json(self.limit, state)

    @property
    def window(self) -> float:
        """The window in seconds. Each window has its own counter."""
        return self.limit.per if isinstance(self.limit, Bucket) else self.limit.window

    @property
    def counts_tokens(self) -> bool:
        """Whether the limit is on tokens."""
        return isinstance(self.limit, Limit) and self.limit.tokens is not None

    def use(self, counter: Counter, now: float) -> CounterUse:
        """Return the use of the limit."""
        requests, tokens = counter.used(now)
        limit = self.limit
        if isinstance(limit, Bucket):
            return CounterUse(self.name, self.per, self.subject, self.window, requests, limit.requests)
        return CounterUse(
            self.name, self.per, self.subject, self.window, requests, limit.requests, tokens, limit.tokens
        )


@frozen
class CounterUse:
    """The use of a limit in its `window` (seconds). `max_requests` and `max_tokens` are None if unlimited."""

    limit: str
    per: str
    subject: str
    window: float
    requests: int
    max_requests: int | None
    tokens: int = 0
    max_tokens: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object, for a trace."""
        return attrs.asdict(self)


@frozen
class Reservation:
    """The call was admitted.

    `places` are the steps of the windows in which it counts under each limit. `used` is the use of each limit,
    including this call.
    """

    charges: tuple[Charge, ...] = ()
    places: tuple[int, ...] = ()
    used: tuple[CounterUse, ...] = ()


@frozen
class Exhausted:
    """The call exceeds a limit. In `retry_after` seconds, the limit named `limit` will be the last to admit it.

    `retry_after` is infinite if the call alone exceeds the limit. `used` is the use of each limit.
    """

    limit: str
    retry_after: float
    used: tuple[CounterUse, ...]


def admit(
    charges: Sequence[Charge], counters: Sequence[Counter], now: float
) -> tuple[Reservation, list[Counter]] | Exhausted:
    """Charge every counter, or none of them if one limit would be exceeded."""
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
    """Return the charges for a call with these facts. `tokens` is its maximum of input and output tokens."""
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
    """The number of tokens to reserve, and the maximum output in tokens, None if unlimited."""

    reserved: int
    max_tokens: int | None


def plan_tokens(limits: Iterable[Limit], input_tokens: int, max_tokens: int | None) -> TokenPlan:
    """Plan the tokens of a call with an input of `input_tokens`, which requests at most `max_tokens` of output.

    Under a token limit, a call without `max_tokens` may write `DEFAULT_OUTPUT_TOKENS`, and no call may write more than
    the lowest limit leaves after its input. So the tokens used never exceed those reserved.
    """
    most = min((limit.tokens for limit in limits if limit.tokens is not None), default=None)
    if most is None:
        return TokenPlan(0, max_tokens)
    written = DEFAULT_OUTPUT_TOKENS if max_tokens is None else max_tokens
    written = max(1, min(written, most - input_tokens))  # model servers disagree on what 0 means
    return TokenPlan(input_tokens + written, written)
