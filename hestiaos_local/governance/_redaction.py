"""Replaces in whole texts what is not to be seen or kept: what rules redact, values of secrets, keys."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from hestiaos_local.governance._engines import Engine
from hestiaos_local.governance._facts import Facts
from hestiaos_local.governance._output import OutputGovernor, Redaction, ReleasedText
from hestiaos_local.governance._policy import Policy
from hestiaos_local.governance._rules import Rule, Subject
from hestiaos_local.governance._secrets import SecretRedactor

__all__ = ["ErrorRedactor", "RecordRedactor", "TextRedactor", "input_redactor", "redact_input"]

_REDACTED = "[redacted]"


class TextRedactor:
    """Replaces what any of some rules matches, in the text as it is or normalised; those that block redact here."""

    def __init__(self, rules: Iterable[Rule], engine: Engine) -> None:
        self._policy = Policy(name="", rules=tuple(map(_redacting_output, rules)), engine=engine)

    def redact(self, text: str) -> tuple[str, tuple[Redaction, ...]]:
        """The text, and what was replaced in it."""
        rules = self._policy.rules
        if not rules or not Subject([text]).has(self._policy.rule_set(rules).any):
            return text, ()
        governor = OutputGovernor(self._policy, Facts())
        governor.receive_text(text)
        governor.end()
        released = "".join(each.text for each in governor.events() if isinstance(each, ReleasedText))
        return released, tuple(governor.redactions)


def _redacting_output(rule: Rule) -> Rule:
    redact = _REDACTED if rule.redact is None else rule.redact
    return evolve(rule, on=frozenset(["output"]), decision=None, redact=redact, conditions={}, hold=True)


def input_redactor(policy: Policy, facts: Facts) -> TextRedactor:
    """What replaces in an execution's inputs what the policy's rules redact there."""
    return policy.redactor(tuple(rule for rule in _redacting(policy, facts) if "input" in rule.on))


def redact_input(policy: Policy, facts: Facts, text: str) -> tuple[str, tuple[Redaction, ...]]:
    """An input with what the policy's rules redact in inputs replaced."""
    return input_redactor(policy, facts).redact(text)


def _redacting(policy: Policy, facts: Facts) -> tuple[Rule, ...]:
    return tuple(rule for rule in policy.rules if rule.redact is not None and not rule.shadow and rule.fits(facts))


class ErrorRedactor:
    """Replaces in the message of an error, which may quote a model, what an output must not say, and what `secrets`
    replaces."""

    def __init__(self, policy: Policy, facts: Facts, secrets: SecretRedactor) -> None:
        self._policy = policy
        self._facts = facts
        self._secrets = secrets

    def text(self, text: str) -> str:
        """A message as it may be seen."""
        policy, facts = self._policy, self._facts
        rules = (rule for rule in policy.rules if "output" in rule.on and not rule.shadow and rule.fits(facts))
        text = self._secrets.text(text)  # before the rules, which could leave a part of a secret
        return self._secrets.text(policy.redactor(tuple(rules)).redact(text)[0])


class RecordRedactor:
    """Replaces what must not be written of an execution: what `secrets` replaces, and the matches of all rules of the
    policy that redact."""

    def __init__(self, policy: Policy, facts: Facts, secrets: SecretRedactor) -> None:
        rules = _redacting(policy, facts)
        self._secrets = secrets
        self._rules = policy.redactor(rules) if rules else None

    def text(self, text: str) -> str:
        """A text as it may be written."""
        text = self._secrets.text(text)  # before the rules, which could leave a part of a secret
        if self._rules is not None:
            text = self._secrets.text(self._rules.redact(text)[0])  # a replacement may be empty
        return text

    def name(self, name: str) -> str:
        """A name as it may be written. A rule is about texts, and could make one name of several."""
        return self._secrets.text(name)
