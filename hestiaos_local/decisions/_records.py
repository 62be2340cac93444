"""Encode the facts and the outcome of an execution for its trace, and decode them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal, TypeVar

from attrs import evolve, frozen

from hestiaos_local.decisions._answers import Answer
from hestiaos_local.governance import Facts, RecordRedactor, Redaction, ShadowHit, Verdict
from hestiaos_local.storage import Approval, Outcome, TraceRecord
from hestiaos_proto import AgentResult, ChatResponse, GovernanceBlock, Model, RunResponse, TraceResponse

__all__ = [
    "Findings",
    "Keep",
    "Status",
    "approval_record",
    "command_record",
    "described",
    "iso",
    "kept_result",
    "outcome_record",
    "throttled",
    "trace_response",
    "violations",
]

Keep = Literal["text", "hash"]
"""Whether traces contain the texts of inputs and outputs, or only their SHA-256."""

M = TypeVar("M", bound=Model)

Status = Literal["completed", "blocked", "failed", "cancelled"]
"""How an execution ended."""

_DECIDED = "decided"  # the outcome of an execution in progress, or whose process crashed


@frozen
class Findings:
    """What governance found in an execution's outputs."""

    shadow: tuple[ShadowHit, ...] = ()
    redactions: tuple[Redaction, ...] = ()
    approvals: Sequence[Approval] = ()
    block: GovernanceBlock | None = None

    @property
    def blocked_by(self) -> dict[str, Any] | None:
        """The rule that blocked them, with its reason and risk, or None."""
        if self.block is None:
            return None
        details = self.block.details if isinstance(self.block.details, dict) else {}
        return {name: details.get(name) for name in ("rule", "reason", "risk_score")}

    @property
    def rule(self) -> str | None:
        """The name of the rule that blocked them, or None."""
        return None if self.blocked_by is None else self.blocked_by["rule"]


def approval_record(approval: Approval) -> dict[str, Any]:
    """Encode an approval. `used` means that the call was made."""
    return {"id": approval.id, "status": approval.status} | ({"by": approval.decided_by} if approval.decided_by else {})


def violations(verdict: Verdict) -> list[dict[str, Any]]:
    """Return the violated rules in the format of the protocol, empty for ALLOW."""
    if verdict.decision == "ALLOW":
        return []
    return [_violation(verdict.decision, verdict.rule, verdict.reason, verdict.risk)]


def throttled(trace: TraceResponse, limit: str | None, reason: str) -> TraceResponse:
    """Return the trace of an execution that a limit refused, although no rule blocks it."""
    violation = _violation("THROTTLE", limit, reason, trace.risk_score)
    return evolve(
        trace,
        decision="THROTTLE",
        mode="THROTTLE",
        budget=0.0,
        reason=reason,
        violations=[*trace.violations, violation],
    )


def _violation(decision: str, rule: Any, reason: Any, risk: Any) -> dict[str, Any]:
    return {"rule": rule, "decision": decision, "risk_score": risk, "reason": reason}


def command_record(
    trace_id: str,
    facts: Facts,
    verdict: Verdict,
    redactions: Sequence[Redaction],
    redactor: RecordRedactor,
    keep: Keep,
) -> dict[str, Any]:
    """Encode the command of an execution, the policy, and the verdict. Empty fields are omitted."""
    texts = [redactor.text(text) for text in facts.texts]
    return {
        "command_id": trace_id,
        "command_type": facts.command_type,
        **({"texts": texts} if keep == "text" else {"texts_sha256": list(map(_hash, texts))}),
        **_filled(
            {
                "replaced": texts != list(facts.texts),  # the verdict may differ on the redacted texts
                "agent_id": facts.agent and redactor.name(facts.agent),
                "session_id": facts.session and redactor.name(facts.session),
                "key": facts.key,
                "model": facts.model and redactor.name(facts.model),
                "policy_hash": verdict.policy,
                "redactions": _counted(redactions),
                "shadow": _shadow(verdict.shadow),
            }
        ),
    }


def outcome_record(
    status: Status,
    milliseconds: float,
    answer: Answer,
    findings: Findings,
    redactor: RecordRedactor,
    keep: Keep,
    error: str | None = None,
) -> Outcome:
    """Encode the outcome of an execution, and what its caller received. `error` is the code of a failure."""
    output = redactor.text(answer.text)
    calls = [
        {"name": redactor.text(call.name), "arguments": redactor.text(call.arguments)} for call in answer.tool_calls
    ]
    if keep == "hash":
        calls = [{"name": call["name"], "arguments_sha256": _hash(call["arguments"])} for call in calls]
    block = findings.blocked_by  # redacted, as its reason may quote the name of a tool that the model invented
    found = {
        "output_sha256": _hash(output) if keep == "hash" else None,
        "tool_calls": calls,
        "blocked_by": None if block is None else block | {"reason": redactor.text(str(block["reason"]))},
        "approvals": [approval_record(approval) for approval in findings.approvals],
        "redactions": _counted(findings.redactions),
        "shadow": _shadow(findings.shadow),
    }
    usage = answer.used
    return Outcome(
        status,
        milliseconds,
        None if usage is None else usage.prompt_tokens,
        None if usage is None else usage.completion_tokens,
        output=output if keep == "text" else None,
        error=error,
        findings=_filled(found) or None,
    )


def trace_response(record: TraceRecord) -> TraceResponse:
    """Decode a trace for the protocol. `outcome` is one of its extra fields."""
    trace = TraceResponse.from_wire(record.facts["trace"])
    outcome = record.outcome
    found = {} if outcome is None or outcome.findings is None else outcome.findings
    blocked = found.get("blocked_by")
    more = [] if blocked is None else [_violation("BLOCK", blocked["rule"], blocked["reason"], blocked["risk_score"])]
    return evolve(
        trace,
        violations=[*trace.violations, *more],
        extra=dict(trace.extra) | {"outcome": _DECIDED if outcome is None else outcome.status},
    )


def described(record: TraceRecord) -> dict[str, Any]:
    """Return everything known about an execution: its trace, its command and, when it has ended, its outcome."""
    command = dict(record.facts["command"])
    if (texts := command.pop("texts", None)) is not None:
        command["input"] = "\n".join(texts)
    outcome = record.outcome
    if outcome is None:
        ended: dict[str, Any] = {}
    else:
        found = dict(outcome.findings or {})
        ended = _filled(
            {
                "milliseconds": outcome.milliseconds,
                "input_tokens": outcome.input_tokens,
                "output_tokens": outcome.output_tokens,
                "output": outcome.output,
                "error": outcome.error,
                "output_redactions": found.pop("redactions", None),
                "output_shadow": found.pop("shadow", None),
                **found,
            }
        )
    return {**trace_response(record).to_wire(), **command, **ended}


def kept_result(result: M, redactor: RecordRedactor) -> M:
    """Redact the result of an execution for storing it."""
    if isinstance(result, RunResponse):
        text = redactor.text(result.result)
        return evolve(result, result=text, output=result.output and text)
    if isinstance(result, ChatResponse):
        return evolve(result, result=redactor.text(result.result))
    if isinstance(result, AgentResult) and result.result is not None:
        return evolve(result, result=redactor.text(result.result))
    return result


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy without fields that are None or empty."""
    return {name: value for name, value in values.items() if value or type(value) in (int, float)}


def _counted(redactions: Sequence[Redaction]) -> dict[str, int]:
    return dict(Counter(each.rule for each in redactions)) if redactions else {}


def _shadow(hits: Iterable[ShadowHit]) -> list[dict[str, Any]]:
    return [{"rule": hit.rule, "decision": hit.decision, "risk_score": hit.risk} for hit in hits]


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def iso(time: float) -> str:
    """Format seconds since 1970 as ISO 8601, in UTC."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
