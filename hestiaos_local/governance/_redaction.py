"""Redact complete texts: matches of rules, the values of secrets, and API keys."""

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
    """Replaces the matches of rules, in a text or its normal form. Rules that block are applied as redactions."""

    def __init__(self, rules: Iterable[Rule], engine: Engine) -> None:
        self._policy = Policy(name="", rules=tuple(map(_redacting_output, rules)), engine=engine)

    def redact(self, text: str) -> tuple[str, tuple[Redaction, ...]]:
        """Return the redacted text, and the redactions made."""
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
    """Return the redactor for an execution's inputs."""
    return policy.redactor(tuple(rule for rule in _redacting(policy, facts) if "input" in rule.on))


def redact_input(policy: Policy, facts: Facts, text: str) -> tuple[str, tuple[Redaction, ...]]:
    """Apply the policy's redactions to an input. Return the redacted text, and the redactions made."""
    return input_redactor(policy, facts).redact(text)


def _redacting(policy: Policy, facts: Facts) -> tuple[Rule, ...]:
    return tuple(rule for rule in policy.rules if rule.redact is not None and not rule.shadow and rule.fits(facts))


class ErrorRedactor:
    """Redacts the messages of errors, which may quote a model: by the rules for outputs, and by `secrets`."""

    def __init__(self, policy: Policy, facts: Facts, secrets: SecretRedactor) -> None:
        self._policy = policy
        self._facts = facts
        self._secrets = secrets

    def text(self, text: str) -> str:
        """Redact a message."""
        policy, facts = self._policy, self._facts
        rules = (rule for rule in policy.rules if "output" in rule.on and not rule.shadow and rule.fits(facts))
        text = self._secrets.text(text)  # before the rules, which could leave a part of a secret
        return self._secrets.text(policy.redactor(tuple(rules)).redact(text)[0])


class RecordRedactor:
    """Redacts the records of an execution: by `secrets`, and by all rules of the policy that redact."""

    def __init__(self, policy: Policy, facts: Facts, secrets: SecretRedactor) -> None:
        rules = _redacting(policy, facts)
        self._secrets = secrets
        self._rules = policy.redactor(rules) if rules else None

    def text(self, text: str) -> str:
        """Redact a text."""
        text = self._secrets.text(text)  # before the rules, which could leave a part of a secret
        if self._rules is not None:
            text = self._secrets.text(self._rules.redact(text)[0])  # a replacement may be empty
        return text

    def name(self, name: str) -> str:
        """Redact secrets in a name. Rules are not applied, since they could make different names equal."""
        return self._secrets.text(name)
