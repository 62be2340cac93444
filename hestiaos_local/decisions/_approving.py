"""Approvals of calls that a rule blocks: after a person's approval the same call passes once, before it expires."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import evolve, field, frozen

from hestiaos_local._logging import logger
from hestiaos_local.decisions._records import Keep, iso
from hestiaos_local.decisions._shortened import shortened
from hestiaos_local.governance import Facts, Policy, RecordRedactor, Verdict, call_hash
from hestiaos_local.storage import Approval, Storage

__all__ = ["APPROVAL_TIME", "Approver", "Asked", "approval_details"]

APPROVAL_TIME = 60 * 60.0
"""How long after a call was blocked it can be approved, and pass, in seconds."""


@frozen
class Asked:
    """The identity of a call, without the verdict on it: an operation, or a tool's call, with its arguments."""

    operation: str
    arguments: Mapping[str, Any] = field(repr=False)

    def hash(self, verdict: Verdict) -> str:
        """The call as what a policy's rules ask about."""
        return call_hash(self.operation, self.arguments, verdict.policy, verdict.approval)


class Approver:
    """Uses approvals, and requests them. Each method may wait for the storage, and raises `StoreError`."""

    def __init__(self, storage: Storage, keep: Keep, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._storage = storage
        self._keep: Keep = keep
        self._clock = clock
        self._new_id = new_id

    def judge(self, policy: Policy, facts: Facts, asked: Asked) -> tuple[Verdict, Approval | None]:
        """The verdict on a call; if it was approved, that of the other rules, and the approval.

        An approval is used by it, which only one of all who make the call can. It is one for all the rules that ask:
        where other rules do, because of who makes the call perhaps, another is needed.
        """
        verdict = policy.judge(facts)
        if not verdict.approval:
            return verdict, None
        passed = policy.judge(facts, approved=True)
        if passed.decision == "BLOCK":
            return passed, None
        approval = self._storage.use_approval(asked.hash(verdict), now=self._clock())
        if approval is None:
            return verdict, None
        if passed.decision == "ALLOW":
            passed = evolve(passed, reason=f"approved by {approval.decided_by or 'somebody'}", risk=verdict.risk)
        return passed, approval

    @contextmanager
    def judged(self, policy: Policy, facts: Facts, asked: Asked) -> Iterator[tuple[Verdict, Approval | None]]:
        """As `judge`, for a block that raises where nothing is executed: the approval is then given back."""
        verdict, approval = self.judge(policy, facts, asked)
        try:
            yield verdict, approval
        except BaseException:
            if approval is not None:
                self._release(approval)
            raise

    def _release(self, approval: Approval) -> None:
        try:
            self._storage.release_approval(approval.id)
        except Exception as error:  # as where the trace could not be stored
            logger().error("the approval %s is used up, and nothing was executed: %s", approval.id, error)

    def ask(self, asked: Asked, verdict: Verdict, facts: Facts, redactor: RecordRedactor, trace_id: str) -> Approval:
        """Request an approval of a call; an earlier request that is neither used nor expired is returned again.

        It shows the input to whoever decides, if traces keep texts.
        """
        now = self._clock()
        text = "\n".join(facts.texts)
        if facts.tool is not None:
            text = f"{facts.tool} {facts.arguments}"
        shown = {
            "trace_id": trace_id,
            "operation": asked.operation,
            "rule": verdict.rule,
            "rules": list(verdict.approval) if verdict.approval[1:] else None,
            "reason": verdict.reason,
            "risk_score": verdict.risk,
            "input": shortened(redactor.text(text)) if self._keep == "text" else None,
            "key": facts.key,
            "agent": facts.agent and redactor.name(facts.agent),
            "session": facts.session and redactor.name(facts.session),
        }
        approval = Approval(
            id=self._new_id(),
            call_hash=asked.hash(verdict),
            created_at=now,
            expires_at=now + APPROVAL_TIME,
            facts={name: value for name, value in shown.items() if value is not None},
        )
        return self._storage.add_approval(approval, now=now)


def approval_details(approval: Approval) -> dict[str, Any]:
    """The approval in the details of a block."""
    return {"id": approval.id, "expires": iso(approval.expires_at), "status": approval.status}
