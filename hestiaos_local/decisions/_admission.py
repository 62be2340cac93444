"""Admission: an execution is charged under its policy's limits before it begins, and settled once it is over."""

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
    """The result of admission: the `work` within the limits, or the `refusal` with the reason why it may not begin.

    Of the `tokens` that are reserved for it, `input_tokens` are what it reads, as estimated.
    """

    work: Work = field(repr=False)
    input_tokens: int = 0
    tokens: int = 0
    reservation: Reservation | None = None
    exhausted: Exhausted | None = None
    refusal: StatusError | None = None

    @property
    def refused_by(self) -> str | None:
        """The name of the exhausted limit."""
        return None if self.exhausted is None else self.exhausted.limit

    def to_json(self) -> dict[str, Any]:
        """Its part of a trace: the limits and what is used of them, including this execution if it was admitted."""
        found = self.reservation or self.exhausted
        if found is None:
            return {}
        refused = {} if self.refused_by is None else {"refused_by": self.refused_by}
        return {"reserved_tokens": self.tokens, "limits": [use.to_json() for use in found.used], **refused}


class AdmissionControl:
    """Charges executions in `storage`. Its methods may wait for the storage."""

    def __init__(self, storage: Storage, clock: Callable[[], float]) -> None:
        self._storage = storage
        self._clock = clock

    def admit(self, policy: Policy, verdict: Verdict, facts: Facts, work: Work) -> Admission:
        """Reserve what the work may use, and lower its `max_tokens` to that. Raises `StoreError`."""
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
        """Charge the tokens that were used. If that cannot be stored, the reservation expires with its window."""
        if admission.reservation is None:
            return
        try:
            self._storage.settle(admission.reservation, tokens=tokens)
        except Exception as error:  # a platform that was closed meanwhile, among others
            logger().error("%d tokens stay reserved for an execution that took %d: %s", admission.tokens, tokens, error)


def _lowest(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _refusal(exhausted: Exhausted, input_tokens: int) -> StatusError:
    """The refusal of an execution that does not fit now, or never fits."""
    [use] = [use for use in exhausted.used if use.limit == exhausted.limit][:1]
    if not isfinite(exhausted.retry_after):
        return InvalidInput(
            f"an input of about {input_tokens} tokens is too much for the limit {use.limit!r}: "
            f"it allows {use.max_tokens} tokens in {use.window:g} s, for the input and what is written",
            details=use.to_json(),
        )
    return RateLimited(
        f"the limit {use.limit!r} has no room: {' and '.join(_counted(use))} in {use.window:g} s are used",
        details=use.to_json(),
        retry_after=exhausted.retry_after,
    )


def _counted(use: CounterUse) -> Iterable[str]:
    if use.max_requests is not None:
        yield f"{use.requests} of {use.max_requests} requests"
    if use.max_tokens is not None:
        yield f"{use.tokens} of {use.max_tokens} tokens"
