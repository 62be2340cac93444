"""Decide on an execution and store the decision as a trace; later, store its outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from hestiaos_local._logging import logger
from hestiaos_local._measurements import Measurements, elapsed
from hestiaos_local.decisions._admission import Admission, AdmissionControl
from hestiaos_local.decisions._answers import Answer
from hestiaos_local.decisions._approving import Approver, Asked, approval_details
from hestiaos_local.decisions._hidden_values import HiddenValues
from hestiaos_local.decisions._messages import redacted_work
from hestiaos_local.decisions._observations import note
from hestiaos_local.decisions._records import (
    Findings,
    Keep,
    Status,
    approval_record,
    command_record,
    iso,
    outcome_record,
    throttled,
    violations,
)
from hestiaos_local.execution import Message, Work
from hestiaos_local.flow import Flow, call_surely
from hestiaos_local.governance import (
    ErrorRedactor,
    Facts,
    Policy,
    RecordRedactor,
    Redaction,
    ShadowHit,
    Verdict,
    arguments_of,
    input_redactor,
)
from hestiaos_local.storage import Approval, Outcome, Storage, TraceRecord
from hestiaos_proto import GovernanceBlock, TraceResponse

__all__ = ["BUDGETS", "Governed", "Governor"]

BUDGETS = {"ALLOW": 1.0, "THROTTLE": 0.5, "BLOCK": 0.0}
"""The budget of an execution for each decision."""


@frozen
class Governed:
    """An execution with its decision: its trace, its facts, and the policy.

    `approval` is the approval that it has used or that it waits for.
    """

    trace: TraceResponse
    facts: Facts
    verdict: Verdict
    policy: Policy
    admission: Admission
    approval: Approval | None = None

    @property
    def work(self) -> Work:
        """The admitted work."""
        return self.admission.work

    @property
    def blocked(self) -> Outcome | None:
        """The outcome if the execution was blocked or refused, else None."""
        if (refusal := self.admission.refusal) is not None:
            return Outcome("blocked", error=refusal.code)
        return Outcome("blocked") if self.verdict.decision == "BLOCK" else None

    @property
    def block(self) -> GovernanceBlock | None:
        """Return the exception if the execution is blocked, else None."""
        return self.block_by(self.verdict, self.approval) if self.verdict.decision == "BLOCK" else None

    def block_by(self, verdict: Verdict, approval: Approval | None = None) -> GovernanceBlock:
        """Return the exception for a blocking verdict, with its reason and the approval that would allow the call."""
        details: dict[str, Any] = {
            "rule": verdict.rule,
            "reason": verdict.reason,
            "risk_score": verdict.risk,
            "policy": self.policy.name,
        }
        if approval is not None:
            details["approval"] = approval_details(approval)
        return GovernanceBlock(self.trace.trace_id, details=details)


class Governor:
    """Decides on executions by its `policy`, and stores each decision and outcome as a trace.

    `keep` is how traces keep inputs and outputs. `hidden` are values that are never written.
    """

    def __init__(
        self,
        policy: Policy,
        storage: Storage,
        hidden: HiddenValues,
        keep: Keep,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        measurements: Measurements,
    ) -> None:
        self.policy: Final = policy
        self._storage = storage
        self._approver = Approver(storage, keep, clock, new_id)
        self._admission_control = AdmissionControl(storage, clock)
        self._hidden = hidden
        self._keep: Keep = keep
        self._clock = clock
        self._new_id = new_id
        self._measurements = measurements

    def decide(
        self,
        facts: Facts,
        messages: Sequence[Message],
        prepare: Callable[[Sequence[Message]], Work],
        asked: Asked,
        *,
        effort: float = 1.0,
        trace_id: str | None = None,
    ) -> Governed:
        """Decide on an execution that would send these messages to a model. It may wait for the storage.

        `prepare` creates the work from the redacted messages. `asked` is the call that an approval would allow. Raises
        `RateLimited` if a limit is exhausted, and `StoreError` if the decision cannot be stored; nothing may be
        executed then.
        """
        began = self._clock()
        policy = self.policy
        secrets = self._hidden.redactor()
        redactor = RecordRedactor(policy, facts, secrets)
        with self._approver.judged(policy, facts, asked) as (verdict, approval):
            trace = self._trace(verdict, policy, began, effort, trace_id or self._new_id())
            if verdict.decision != "BLOCK":
                policy.prepare(facts)  # compile here, where computing does not block an event loop
            work, redactions = redacted_work(messages, prepare, input_redactor(policy, facts))
            work = evolve(work, trace_id=trace.trace_id, redact=ErrorRedactor(policy, facts, secrets).text)
            if verdict.approval:
                approval = self._approver.ask(asked, verdict, facts, redactor, trace.trace_id)
            admission = self._admit(policy, verdict, facts, work, redactor)
            refusal = admission.refusal
            if refusal is not None:
                refusal.trace_id = trace.trace_id
                trace = throttled(trace, admission.refused_by, refusal.message)
            governed = Governed(trace, facts, verdict, policy, admission, approval)
            self._store(governed, began, redactions, redactor)
            self._count(verdict.rule, verdict.decision, redactions, verdict.shadow)
            if refusal is not None:
                raise refusal
            return governed

    def _trace(self, verdict: Verdict, policy: Policy, began: float, effort: float, trace_id: str) -> TraceResponse:
        return TraceResponse(
            trace_id=trace_id,
            decision=verdict.decision,
            violations=violations(verdict),
            latency_ms=elapsed(began, self._clock()) * 1000,
            reason=verdict.reason,
            risk_score=verdict.risk,
            policy=policy.name,
            mode=verdict.decision,
            budget=BUDGETS[verdict.decision] * effort,
            timestamp=iso(began),
        )

    def _admit(self, policy: Policy, verdict: Verdict, facts: Facts, work: Work, redactor: RecordRedactor) -> Admission:
        """Charge the limits, unless blocked. Names are redacted, since counters are stored."""
        if verdict.decision == "BLOCK":
            return Admission(work)
        if facts.agent is not None or facts.session is not None:
            agent, session = (name and redactor.name(name) for name in (facts.agent, facts.session))
            facts = evolve(facts, agent=agent, session=session)
        return self._admission_control.admit(policy, verdict, facts, work)

    def _store(
        self, governed: Governed, began: float, redactions: Sequence[Redaction], redactor: RecordRedactor
    ) -> None:
        """Store the decision. If that fails, release what was reserved, as nothing is executed."""
        trace, verdict, admission, outcome = governed.trace, governed.verdict, governed.admission, governed.blocked
        try:
            command = command_record(trace.trace_id, governed.facts, verdict, redactions, redactor, self._keep)
            if admission.refusal is not None:
                command["verdict"] = verdict.decision
            if charged := admission.to_json():
                command["admission"] = charged
            if governed.approval is not None:
                command["approval"] = approval_record(governed.approval)
            facts = {"trace": trace.to_wire(), "command": command}
            self._storage.add_trace(TraceRecord(trace.trace_id, trace.decision, began, facts, outcome))
        except BaseException:
            self._admission_control.settle(admission, 0)
            raise
        self._measurements.decided(trace.decision)
        note(trace_id=trace.trace_id, decision=trace.decision, outcome=None if outcome is None else outcome.status)

    def approval_of(self, governed: Governed, tool: str, arguments: str) -> Approval | None:
        """Return the approval used by a tool call, or None if it does not need any. `arguments` is JSON.

        It may wait for the storage. If a rule blocks the call and it is not approved, an approval is requested and
        `GovernanceBlock` is raised.
        """
        policy = governed.policy
        facts = evolve(governed.facts, tool=tool, arguments=arguments_of(arguments))
        asked = Asked("tool_call", {"tool": tool, "arguments": arguments, "agent": facts.agent})
        verdict, approval = self._approver.judge(policy, facts, asked)
        if verdict.approval:
            as_written = evolve(facts, arguments=arguments)
            redactor = self.record_redactor(facts, policy)
            approval = self._approver.ask(asked, verdict, as_written, redactor, governed.trace.trace_id)
        if verdict.decision == "BLOCK":
            raise governed.block_by(verdict, approval)
        return approval

    def record_redactor(self, facts: Facts, policy: Policy | None = None) -> RecordRedactor:
        """Return the redactor for the records of an execution under a policy. It may wait for the storage."""
        return RecordRedactor(policy or self.policy, facts, self._hidden.redactor())

    def finish(
        self,
        governed: Governed,
        status: Status,
        *,
        seconds: float = 0.0,
        answer: Answer | None = None,
        findings: Findings | None = None,
        error: BaseException | None = None,
    ) -> Flow[None]:
        """Store an execution's outcome, its duration in seconds, and what its caller received. Failures are logged."""
        trace_id = governed.trace.trace_id
        given, found = answer or Answer(), findings or Findings()
        code = None if error is None else getattr(error, "code", type(error).__name__)
        model_error = code if code is not None and code.startswith("MODEL_") else None
        note(outcome=status)
        self._measurements.executed(status, seconds, given.used, model_error)
        self._count(found.rule, "BLOCK", found.redactions, found.shadow)

        def store() -> None:
            redactor = self.record_redactor(governed.facts, governed.policy)
            outcome = outcome_record(status, seconds * 1000, given, found, redactor, self._keep, code)
            self._storage.finish_trace(trace_id, outcome)
            self._admission_control.settle(governed.admission, _tokens(governed.admission, answer))

        try:
            yield from call_surely(store)
        except Exception as failure:  # such as a platform that was closed meanwhile
            logger().error("the outcome of %s (%s) could not be stored in its trace: %s", trace_id, status, failure)

    def _count(
        self, rule: str | None, decision: str, redactions: Iterable[Redaction], shadow: Iterable[ShadowHit]
    ) -> None:
        rules = [] if rule is None else [(rule, decision)]
        rules += [(each.rule, "redact") for each in redactions]
        self._measurements.matched(rules, [(hit.rule, hit.decision) for hit in shadow])


def _tokens(admission: Admission, answer: Answer | None) -> int:
    """Return the tokens that an execution used. A model without output may still have read the input."""
    if answer is None:  # the execution did not begin
        return 0
    used = answer.used
    return admission.input_tokens if used is None else used.prompt_tokens + used.completion_tokens
