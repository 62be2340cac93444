"""Approvals of calls that a rule blocks. An approved call is allowed once, before the approval expires."""

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
"""How long an approval is valid after its call was blocked, in seconds."""


@frozen
class Asked:
    """The identity of a call, apart from the verdict: an operation or a tool call, with its arguments."""

    operation: str
    arguments: Mapping[str, Any] = field(repr=False)

    def hash(self, verdict: Verdict) -> str:
        """Return the hash that identifies the call for approval by the rules of this verdict."""
        return call_hash(self.operation, self.arguments, verdict.policy, verdict.approval)


class Approver:
    """Uses and requests approvals. Every method may wait for the storage, and raises `StoreError`."""

    def __init__(self, storage: Storage, keep: Keep, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._storage = storage
        self._keep: Keep = keep
        self._clock = clock
        self._new_id = new_id

    def judge(self, policy: Policy, facts: Facts, asked: Asked) -> tuple[Verdict, Approval | None]:
        """Return the verdict on a call. If the call is approved, use the approval, and return it with the verdict.

        An approval can be used by one call only. It covers all rules that required it. If other rules require one, for
        example because another key makes the call, another approval is needed.
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
        """Judge like `judge`, in a context. If the block raises, nothing was executed, and the approval is released."""
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
        except Exception as error:  # probably the same one that kept the trace from being stored
            logger().error("the approval %s is used, but nothing was executed: %s", approval.id, error)

    def ask(self, asked: Asked, verdict: Verdict, facts: Facts, redactor: RecordRedactor, trace_id: str) -> Approval:
        """Request an approval of a call. Return the earlier one if there is one that is neither used nor expired.

        The request includes the input for the person who decides, if traces keep texts.
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
    """Return the approval's part of the details of a block."""
    return {"id": approval.id, "expires": iso(approval.expires_at), "status": approval.status}
