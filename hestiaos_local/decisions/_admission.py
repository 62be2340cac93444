"""Admission: charge an execution to its policy's limits before it begins, and settle the charge when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from typing import TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from hestiaos_local._logging import logger
from hestiaos_local.execution import Work, estimate_input
from hestiaos_local.governance import Facts, Policy, Verdict
from hestiaos_local.storage import Storage
from hestiaos_proto import InvalidInput, RateLimited, StatusError

if TYPE_CHECKING:
    from hestiaos_local.governance import CounterUse, Exhausted, Reservation

__all__ = ["Admission", "AdmissionControl"]


@frozen
class Admission:
    """The result of admission: the `work` within the limits, or the `refusal`.

    `tokens` are reserved for it, including the estimated `input_tokens`.
    """

    work: Work = field(repr=False)
    input_tokens: int = 0
    tokens: int = 0
    reservation: Reservation | None = None
    exhausted: Exhausted | None = None
    refusal: StatusError | None = None

    @property
    def refused_by(self) -> str | None:
        """The name of the exhausted limit, or None."""
        return None if self.exhausted is None else self.exhausted.limit

    def to_json(self) -> dict[str, Any]:
        """Return its part of a trace: the use of the limits, including this execution if it was admitted."""
        found = self.reservation or self.exhausted
        if found is None:
            return {}
        refused = {} if self.refused_by is None else {"refused_by": self.refused_by}
        return {"reserved_tokens": self.tokens, "limits": [use.to_json() for use in found.used], **refused}


class AdmissionControl:
    """Charges executions to counters in `storage`. Its methods may wait for the storage."""

    def __init__(self, storage: Storage, clock: Callable[[], float]) -> None:
        self._storage = storage
        self._clock = clock

    def admit(self, policy: Policy, verdict: Verdict, facts: Facts, work: Work) -> Admission:
        """Reserve the maximum that the work may use, and lower its `max_tokens` accordingly. Raises `StoreError`."""
        if verdict.max_tokens is not None:
            work = evolve(work, max_tokens=_lowest(work.max_tokens, verdict.max_tokens))
        if not policy.limits and verdict.bucket is None:
            return Admission(work)
        from hestiaos_local.governance import Reservation, charges_for, plan_tokens  # few policies have limits

        input_tokens = estimate_input(work)
        plan = plan_tokens(policy.limits, input_tokens, work.max_tokens)
        charges = charges_for(policy.limits, verdict, facts, plan.reserved)
        answer = self._storage.reserve(charges, now=self._clock())
        if isinstance(answer, Reservation):
            work = evolve(work, max_tokens=plan.max_tokens)
            return Admission(work, input_tokens, plan.reserved, answer)
        refusal = _refusal(answer, input_tokens)
        return Admission(work, input_tokens, plan.reserved, exhausted=answer, refusal=refusal)

    def settle(self, admission: Admission, tokens: int) -> None:
        """Charge the tokens that were used. If storing fails, the reservation expires with its window."""
        if admission.reservation is None:
            return
        try:
            self._storage.settle(admission.reservation, tokens=tokens)
        except Exception as error:  # such as a platform that was closed meanwhile
            logger().error("%d tokens stay reserved for an execution that used %d: %s", admission.tokens, tokens, error)


def _lowest(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _refusal(exhausted: Exhausted, input_tokens: int) -> StatusError:
    """Return the refusal of an execution that exceeds a limit, for now or on its own."""
    [use] = [use for use in exhausted.used if use.limit == exhausted.limit][:1]
    if not isfinite(exhausted.retry_after):
        return InvalidInput(
            f"an input of about {input_tokens} tokens exceeds the limit {use.limit!r}: "
            f"it allows {use.max_tokens} tokens in {use.window:g} s, for input and output",
            details=use.to_json(),
        )
    return RateLimited(
        f"the limit {use.limit!r} is exhausted: {' and '.join(_counted(use))} in {use.window:g} s are used",
        details=use.to_json(),
        retry_after=exhausted.retry_after,
    )


def _counted(use: CounterUse) -> Iterable[str]:
    if use.max_requests is not None:
        yield f"{use.requests} of {use.max_requests} requests"
    if use.max_tokens is not None:
        yield f"{use.tokens} of {use.max_tokens} tokens"
