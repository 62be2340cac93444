"""What comes before an execution: facts, the verdict on them, and the trace that says so; and how the trace ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from attrs import frozen

from hestiaos_local._flow import Call, Flow
from hestiaos_local._measurements import Measurements, elapsed
from hestiaos_local._streams import iso
from hestiaos_local.governance import Facts, Policy, Verdict
from hestiaos_local.storage import Outcome, Storage, TraceRecord
from hestiaos_proto import GovernanceBlock, TraceResponse

__all__ = ["BUDGETS", "Governed", "Governor"]

BUDGETS = {"ALLOW": 1.0, "THROTTLE": 0.5, "BLOCK": 0.0}
"""The budget of an execution by its decision."""

_log = logging.getLogger("hestiaos_local")


@frozen
class Governed:
    """An execution that was decided on: its trace, what was known of it, and the policy that it is under."""

    trace: TraceResponse
    facts: Facts
    verdict: Verdict
    policy: Policy

    @property
    def block(self) -> GovernanceBlock | None:
        """The exception that says so where it is blocked."""
        return self.block_by(self.verdict) if self.verdict.decision == "BLOCK" else None

    def block_by(self, verdict: Verdict) -> GovernanceBlock:
        """The exception for a verdict that blocks: its details say why."""
        details = {
            "rule": verdict.rule,
            "reason": verdict.reason,
            "risk_score": verdict.risk,
            "policy": self.policy.name,
        }
        return GovernanceBlock(self.trace.trace_id, details=details)


class Governor:
    """Decides on executions by its `policy`, and stores each decision as a trace.

    Raises `StoreError` where that cannot be stored; then nothing may be executed.
    """

    def __init__(
        self,
        policy: Policy,
        storage: Storage,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        measurements: Measurements,
    ) -> None:
        self.policy: Policy = policy
        self._storage = storage
        self._clock = clock
        self._new_id = new_id
        self._measurements = measurements

    def decide(self, facts: Facts, *, effort: float = 1.0, trace_id: str | None = None) -> Governed:
        """Decide on an execution. It may wait for the storage."""
        began = self._clock()
        policy = self.policy
        verdict = policy.judge(facts)
        trace = TraceResponse(
            trace_id=trace_id or self._new_id(),
            decision=verdict.decision,
            violations=_violations(verdict),
            latency_ms=elapsed(began, self._clock()) * 1000,
            reason=verdict.reason,
            risk_score=verdict.risk,
            policy=policy.name,
            mode=verdict.decision,
            budget=BUDGETS[verdict.decision] * effort,
            timestamp=iso(began),
        )
        self._storage.add_trace(
            TraceRecord(
                trace_id=trace.trace_id,
                decision=trace.decision,
                decided_at=began,
                facts={"trace": trace.to_wire(), "command": _command(trace.trace_id, facts, verdict)},
                outcome=Outcome("blocked") if verdict.decision == "BLOCK" else None,
            )
        )
        self._measurements.decided(verdict.decision)
        return Governed(trace, facts, verdict, policy)

    def finish(self, governed: Governed, outcome: Outcome) -> Flow[None]:
        """Store how an execution has ended."""
        trace_id = governed.trace.trace_id
        from_model = outcome.error is not None and outcome.error.startswith("MODEL_")
        self._measurements.executed(outcome, outcome.error if from_model else None)
        try:
            yield Call(lambda: self._storage.finish_trace(trace_id, outcome))
        except Exception as error:  # a platform that was closed meanwhile, among others
            _log.error("the outcome of %s (%s) is not in its trace: %s", trace_id, outcome.status, error)


def _violations(verdict: Verdict) -> list[dict[str, Any]]:
    """The rules that were violated, as the wire has them: empty for ALLOW."""
    if verdict.decision == "ALLOW":
        return []
    return [
        {
            "rule": verdict.rule,
            "decision": verdict.decision,
            "risk_score": verdict.risk,
            "reason": verdict.reason,
        }
    ]


def _command(trace_id: str, facts: Facts, verdict: Verdict) -> dict[str, Any]:
    """What was commanded, and under which policy. What is not known is left out."""
    known = {
        "session_id": facts.session,
        "agent_id": facts.agent,
        "key": facts.key,
        "model": facts.model,
        "policy_hash": verdict.policy or None,
    }
    return {
        "command_id": trace_id,
        "command_type": facts.command_type,
        "input": "\n".join(facts.texts),
        **{name: value for name, value in known.items() if value is not None},
    }
