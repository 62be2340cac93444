"""Runs the tests in a policy's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestiaos_local.governance._output import OutputGovernor, redact_input
from hestiaos_local.governance._rules import PolicyTest

if TYPE_CHECKING:
    from hestiaos_local.governance._policy import Policy

__all__ = ["outcome_of"]


def outcome_of(policy: Policy, test: PolicyTest) -> tuple[str, str | None]:
    """What comes of a test: a decision, or `"redact"`, and the rule that it is by."""
    if test.output is None:
        verdict = policy.judge(test.facts)
        redactions = redact_input(policy, test.facts, "\n".join(test.facts.texts))[1]
    else:
        governor = OutputGovernor(policy, test.facts)
        governor.receive_text(test.output)
        governor.end()
        verdict, redactions = governor.verdict, tuple(governor.redactions)
    if redactions and verdict.decision == "ALLOW":
        return "redact", redactions[0].rule
    return verdict.decision, verdict.rule
