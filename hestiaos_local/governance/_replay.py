"""Replay: apply a policy to recorded decisions, which may have been made under another policy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from hestiaos_local.governance._facts import Facts
from hestiaos_local.governance._policy import Policy
from hestiaos_local.governance._replayed_limits import refusing_limit

__all__ = ["RecordedDecision", "Replayed", "recorded_decision", "replay"]


@frozen
class RecordedDecision:
    """A decision in the log: its facts, the decision, the rule and the policy.

    `rule` and `policy` are None if not recorded. `facts` are None if they were not recorded unchanged; `missing` is the
    reason. `admission` is the state of the limits, as JSON. `approved` is whether the call had an approval.
    """

    trace_id: str
    decision: str
    rule: str | None
    policy: str | None
    facts: Facts | None = field(repr=False)
    missing: str | None = None
    admission: Mapping[str, Any] = field(factory=dict, repr=False)
    approved: bool = False


@frozen
class Replayed:
    """A recorded decision, and the verdict of the replaying policy. `decision` is None if facts are missing.

    `refused_by` is the name of the limit that would have been exceeded, according to the recorded counters.
    """

    recorded: RecordedDecision
    decision: str | None = None
    rule: str | None = None
    refused_by: str | None = None

    @property
    def changed(self) -> bool:
        """Whether the result differs: in the decision, in the rule of a restriction, or in the admission.

        The rule that allows is not compared, as it is not recorded.
        """
        recorded = self.recorded
        if self.decision is None:
            return False
        if (self.refused_by is None) != ("refused_by" not in recorded.admission):
            return True
        if self.decision == recorded.decision == "ALLOW":
            return False
        return (self.decision, self.rule) != (recorded.decision, recorded.rule)


def replay(policy: Policy, decisions: Iterable[RecordedDecision]) -> Iterator[Replayed]:
    """Apply `policy` to each decision. The same policy as before returns the same verdicts."""
    for recorded in decisions:
        if recorded.facts is None:
            yield Replayed(recorded)
        else:
            verdict = policy.judge(recorded.facts, approved=recorded.approved)
            blocked = verdict.decision == "BLOCK"
            refused_by = None if blocked else refusing_limit(policy, verdict, recorded.admission)
            yield Replayed(recorded, verdict.decision, verdict.rule, refused_by)


def recorded_decision(record: Mapping[str, Any]) -> RecordedDecision | None:
    """Decode the decision in a record of the log. Return None for the record of an outcome.

    The facts are missing if texts were redacted before they were written, or if only their hashes were kept, since the
    verdict was on the original texts.
    """
    if record.get("phase") != "decided":
        return None
    command, missing = record["facts"]["command"], None
    texts = command.get("texts")
    if texts is None and "input" in command:  # migrated from a version without a log
        texts = [command["input"]]
    if texts is None:
        missing = "only the hashes of its texts were kept"
    elif command.get("replaced"):
        missing = "its texts were redacted before they were written"
    facts = Facts(
        command_type=command.get("command_type", ""),
        texts=tuple(texts or ()),
        agent=command.get("agent_id"),
        session=command.get("session_id"),
        key=command.get("key"),
        model=command.get("model"),
    )
    decision = command.get("verdict", record["decision"])  # the decision of a call refused by a limit is THROTTLE
    violations = record["facts"]["trace"].get("violations") or [{}]
    return RecordedDecision(
        record["trace_id"],
        decision,
        None if decision == "ALLOW" else violations[0].get("rule"),
        command.get("policy_hash"),
        facts if missing is None else None,
        missing,
        command.get("admission", {}),
        command.get("approval", {}).get("status") == "used",
    )
