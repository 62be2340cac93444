"""Explain the verdicts of a policy, for people who try it out and for the tests in its file."""

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
    """A verdict, what is redacted in the text, and the other forms of the text that rules were applied to."""

    verdict: Verdict
    redactions: tuple[Redaction, ...] = ()
    forms: tuple[str, ...] = ()

    @property
    def outcome(self) -> tuple[str, str | None]:
        """The decision, or `"redact"`, and the name of the rule."""
        if self.redactions and self.verdict.decision == "ALLOW":
            return "redact", self.redactions[0].rule
        return self.verdict.decision, self.verdict.rule


def explain(policy: Policy, facts: Facts, output: str | None = None) -> Explanation:
    """Return the verdict of `policy` on an execution or a tool call, or on its `output` if that is given."""
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
