"""Runs the tests in a policy's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestiaos_local.governance._rules import PolicyTest

if TYPE_CHECKING:
    from hestiaos_local.governance._policy import Policy

__all__ = ["outcome_of"]


def outcome_of(policy: Policy, test: PolicyTest) -> tuple[str, str | None]:
    """What comes of a test: a decision, or `"redact"`, and the rule that it is by."""
    verdict = policy.judge(test.facts)
    return verdict.decision, verdict.rule
