"""Replaces in whole texts what is not to be seen or kept: what rules redact, values of secrets, keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from attrs import evolve

from hestiaos_local.governance._engines import Engine, ReEngine, re2_engine
from hestiaos_local.governance._facts import Facts
from hestiaos_local.governance._output import OutputGovernor, Redaction, ReleasedText
from hestiaos_local.governance._policy import Policy
from hestiaos_local.governance._rules import Rule, Subject
from hestiaos_proto import json

__all__ = ["RecordRedactor", "TextRedactor", "error_redactor", "input_redactor", "redact_input", "secret_redactor"]

_REDACTED = "[redacted]"
_SHORT = 8  # characters; a shorter value is replaced only where it is not a part of a word


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


def error_redactor(policy: Policy, facts: Facts) -> TextRedactor:
    """What replaces in the message of an error, which may quote a model, what the policy's rules say of outputs."""
    rules = (rule for rule in policy.rules if "output" in rule.on and not rule.shadow and rule.fits(facts))
    return policy.redactor(tuple(rules))


def input_redactor(policy: Policy, facts: Facts) -> TextRedactor:
    """What replaces in an execution's inputs what the policy's rules redact there."""
    return policy.redactor(tuple(rule for rule in _redacting(policy, facts) if "input" in rule.on))


def redact_input(policy: Policy, facts: Facts, text: str) -> tuple[str, tuple[Redaction, ...]]:
    """An input with what the policy's rules redact in inputs replaced."""
    return input_redactor(policy, facts).redact(text)


def _redacting(policy: Policy, facts: Facts) -> tuple[Rule, ...]:
    return tuple(rule for rule in policy.rules if rule.redact is not None and not rule.shadow and rule.fits(facts))


# What looks like an API key: the well-known forms, each with a beginning of its own. RE2 and `re` read them alike.
_KEYS = (
    r"\bsk-[A-Za-z0-9_\-]{16,}",  # OpenAI, Anthropic and those that follow them
    r"\b[prs]k_(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    r"\bhestia_[A-Za-z0-9_\-]{16,}",
    r"\bgh[oprsu]_[A-Za-z0-9]{30,}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bglpat-[A-Za-z0-9_\-]{16,}",
    r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,}",  # Slack
    r"\bA(?:KIA|SIA)[A-Z0-9]{16}\b",  # AWS
    r"\bAIza[A-Za-z0-9_\-]{35}",  # Google
    r"\bhf_[A-Za-z0-9]{30,}",
    r"\bnpm_[A-Za-z0-9]{36}",
    r"\bpypi-[A-Za-z0-9_\-]{32,}",
    r"\beyJ[A-Za-z0-9_\-]{8,}\.eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}",  # a JSON Web Token
    r"\b[Bb]earer +[A-Za-z0-9._~+/\-]{16,}",  # RFC 6750, section 2.1
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[^\-]*-----END (?:[A-Z]+ )*PRIVATE KEY-----",  # RFC 7468
)


def secret_redactor(values: Iterable[str]) -> TextRedactor:
    """What replaces these values, and what looks like an API key."""
    engine = re2_engine() or ReEngine()
    spelled = {spelling: value for value in values if value for spelling in _spellings(value)}
    longest_first = sorted(spelled, key=lambda spelling: (-len(spelling), spelling))  # one may be a part of another
    sources = [_literal(spelling, short=len(spelled[spelling]) < _SHORT) for spelling in longest_first]
    rules = [_rule("secret", sources, engine)] if sources else []
    return TextRedactor([*rules, _rule("key", _KEYS, engine)], engine)


def _rule(name: str, sources: Sequence[str], engine: Engine) -> Rule:
    return Rule(
        name=name,
        on=frozenset(["output"]),
        sources=tuple(sources),
        redact=f"[{name}]",
        searcher=engine.compile(sources),
    )


def _spellings(value: str) -> set[str]:
    """The value itself, in a JSON string, and in a URL."""
    return {value, quote(value, safe="")} | json.spellings(value)


def _literal(value: str, *, short: bool) -> str:
    pattern = re.escape(value)
    if not short:
        return pattern
    before, after = (r"\b" if re.match(r"\w", each, re.ASCII) else "" for each in (value[0], value[-1]))
    return before + pattern + after


class RecordRedactor:
    """Replaces what must not be written of an execution: what `secrets` replaces, and the matches of all rules of the
    policy that redact."""

    def __init__(self, policy: Policy, facts: Facts, secrets: TextRedactor) -> None:
        rules = _redacting(policy, facts)
        self._secrets = secrets
        # Secrets before the rules, which could leave a part of one, and after them: a replacement may be empty.
        self._redactors = (secrets, policy.redactor(rules), secrets) if rules else (secrets,)

    def text(self, text: str) -> str:
        """A text as it may be written."""
        for redactor in self._redactors:
            text, _ = redactor.redact(text)
        return text

    def name(self, name: str) -> str:
        """A name as it may be written. A rule is about texts, and could make one name of several."""
        return self._secrets.redact(name)[0]
