"""What a policy says of something, and why: for people who try it, and for the tests in its file."""

from __future__ import annotations

from attrs import frozen

from hestiaos_local.governance._facts import Facts
from hestiaos_local.governance._output import OutputGovernor, Redaction
from hestiaos_local.governance._policy import Policy
from hestiaos_local.governance._redaction import redact_input
from hestiaos_local.governance._rules import Verdict

__all__ = ["Explanation", "explain"]


@frozen
class Explanation:
    """The verdict, and what is replaced in the text."""

    verdict: Verdict
    redactions: tuple[Redaction, ...] = ()

    @property
    def outcome(self) -> tuple[str, str | None]:
        """What comes of it: a decision, or `"redact"`, and the rule that it is by."""
        if self.redactions and self.verdict.decision == "ALLOW":
            return "redact", self.redactions[0].rule
        return self.verdict.decision, self.verdict.rule


def explain(policy: Policy, facts: Facts, output: str | None = None) -> Explanation:
    """What `policy` says of an execution or a tool's call; with an `output`, of that under these facts."""
    if output is not None:
        governor = OutputGovernor(policy, facts)
        governor.receive_text(output)
        governor.end()
        return Explanation(governor.verdict, tuple(governor.redactions))
    verdict = policy.judge(facts)
    if facts.tool is not None:
        return Explanation(verdict)
    return Explanation(verdict, redact_input(policy, facts, "\n".join(facts.texts))[1])
