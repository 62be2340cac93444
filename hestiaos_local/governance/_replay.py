"""Replay: what a policy says of decisions that were recorded before, perhaps under another one. Pure."""

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
    """A decision as the log has it: its facts, and what was decided on them, by which rule, under which policy.

    `rule` and `policy` are `None` where none is recorded. `facts` are `None` where they were not written as they were;
    `missing` says why. `admission` is what was looked at of the limits, as JSON; `approved` says that somebody
    had let it pass.
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
    """One recorded decision, and what the policy says of it; `decision` is `None` where that cannot be known.

    `refused_by` is the limit that would have had no room, by the counters as they stood.
    """

    recorded: RecordedDecision
    decision: str | None = None
    rule: str | None = None
    refused_by: str | None = None

    @property
    def changed(self) -> bool:
        """Whether the policy decides otherwise, restricts by another rule, or would not have let in what was let in, or
        the other way round. Which rule allows is not recorded."""
        recorded = self.recorded
        if self.decision is None:
            return False
        if (self.refused_by is None) != ("refused_by" not in recorded.admission):
            return True
        if self.decision == recorded.decision == "ALLOW":
            return False
        return (self.decision, self.rule) != (recorded.decision, recorded.rule)


def replay(policy: Policy, decisions: Iterable[RecordedDecision]) -> Iterator[Replayed]:
    """The verdict of `policy` on each decision. The same policy gives the same as before."""
    for recorded in decisions:
        if recorded.facts is None:
            yield Replayed(recorded)
        else:
            verdict = policy.judge(recorded.facts, approved=recorded.approved)
            blocked = verdict.decision == "BLOCK"
            refused_by = None if blocked else refusing_limit(policy, verdict, recorded.admission)
            yield Replayed(recorded, verdict.decision, verdict.rule, refused_by)


def recorded_decision(record: Mapping[str, Any]) -> RecordedDecision | None:
    """The decision that a record of the log holds; `None` for the record of an outcome.

    Texts that were replaced before they were written (secrets, and what rules redact), and texts of which only the hash
    was kept, are not what was decided on.
    """
    if record.get("phase") != "decided":
        return None
    command, missing = record["facts"]["command"], None
    texts = command.get("texts")
    if texts is None and "input" in command:  # as it was written before there was a log
        texts = [command["input"]]
    if texts is None:
        missing = "only the hashes of its texts were kept"
    elif command.get("replaced"):
        missing = "parts of its texts were replaced before they were written"
    facts = Facts(
        command_type=command.get("command_type", ""),
        texts=tuple(texts or ()),
        agent=command.get("agent_id"),
        session=command.get("session_id"),
        key=command.get("key"),
        model=command.get("model"),
    )
    decision = command.get("verdict", record["decision"])  # what a limit has refused is recorded as THROTTLE
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
