"""The verdicts of a policy, and their reasons: for people who try it, and for the tests in its file."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from attrs import frozen

from hestiaos_local.governance._facts import Facts, texts_of
from hestiaos_local.governance._normal import normalized
from hestiaos_local.governance._output import OutputGovernor, Redaction
from hestiaos_local.governance._policy import Policy
from hestiaos_local.governance._redaction import redact_input
from hestiaos_local.governance._rules import Verdict
from hestiaos_local.governance._views import views_of

__all__ = ["Explanation", "explain"]


@frozen
class Explanation:
    """The verdict, what is replaced in the text, and in which forms rules saw it, other than as it is."""

    verdict: Verdict
    redactions: tuple[Redaction, ...] = ()
    forms: tuple[str, ...] = ()

    @property
    def outcome(self) -> tuple[str, str | None]:
        """The outcome: a decision, or `"redact"`, and the rule that decided."""
        if self.redactions and self.verdict.decision == "ALLOW":
            return "redact", self.redactions[0].rule
        return self.verdict.decision, self.verdict.rule


def explain(policy: Policy, facts: Facts, output: str | None = None) -> Explanation:
    """The verdict of `policy` on an execution or a tool's call; with an `output`, of that under these facts."""
    if output is not None:
        governor = OutputGovernor(policy, facts)
        governor.receive_text(output)
        governor.end()
        return Explanation(governor.verdict, tuple(governor.redactions), _others([output], [normalized(output)]))
    verdict = policy.judge(facts)
    texts = facts.texts if facts.tool is None else texts_of(facts.arguments)
    forms = () if policy.version == 1 else _others(texts, (view for text in texts for view in views_of(text)))
    if facts.tool is not None:
        return Explanation(verdict, forms=forms)
    return Explanation(verdict, redact_input(policy, facts, "\n".join(facts.texts))[1], forms)


def _others(texts: Collection[str], forms: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(form for form in forms if form not in texts))
