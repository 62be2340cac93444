"""Outputs as the governor releases them, and as a judge of the whole text says, who has no notion of pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from hestiaos_local.governance import (
    Blocked,
    Facts,
    OutputGovernor,
    Policy,
    Redaction,
    ReleasedText,
    Rule,
    normalized,
)
from hestiaos_local.governance._engines import Engine
from hestiaos_local.governance._mapping import UnitMap, blocks

__all__ = ["Outcome", "governed", "judged", "policy_of", "rule_of"]


@frozen
class Outcome:
    released: str
    blocked_by: str | None
    redactions: tuple[Redaction, ...]
    shadow: frozenset[str]


def policy_of(rules: list[Rule], engine: Engine) -> Policy:
    return Policy("generated", tuple(rules), engine=engine)


def rule_of(name: str, pattern: str, engine: Engine, **how: Any) -> Rule:
    on = frozenset(["output"])
    return Rule(name=name, on=on, sources=(pattern,), searcher=engine.compile([pattern]), **how)  # type: ignore[arg-type]


def governed(policy: Policy, parts: Sequence[str]) -> Outcome:
    governor = OutputGovernor(policy, Facts())
    released = []
    blocked = None
    for part in [*parts, None]:
        if part is None:
            governor.end()
        else:
            governor.receive_text(part)
        for event in governor.events():
            assert blocked is None, "nothing comes after a block"
            if isinstance(event, ReleasedText):
                released.append(event.text)
            else:
                assert isinstance(event, Blocked)
                blocked = event.verdict
                assert governor.finished
    verdict = governor.verdict
    assert verdict.decision == ("ALLOW" if blocked is None else "BLOCK")
    shadow = frozenset(hit.rule for hit in verdict.shadow)
    return Outcome("".join(released), None if blocked is None else blocked.rule, tuple(governor.redactions), shadow)


def judged(policy: Policy, text: str) -> Outcome:
    """What a judge of the whole text says."""
    enforced = [rule for rule in policy.rules if not rule.shadow]
    found = sorted({match for number, rule in enumerate(enforced) for match in spans(rule, number, text)})
    end, blocked = len(text), None
    redactions = []
    hidden: list[tuple[int, int, str]] = []
    for start, number, stop in found:
        rule = enforced[number]
        if rule.redact is None:
            end, blocked = start, rule.name
            break
        redactions.append(Redaction(rule.name, start, stop))
        if hidden and start < hidden[-1][1]:
            hidden[-1] = hidden[-1][0], max(stop, hidden[-1][1]), hidden[-1][2]
        else:
            hidden.append((start, stop, rule.redact))
    released, place = "", 0
    for start, stop, replacement in hidden:
        released += text[place:start] + replacement
        place = stop
    released += text[place:end]
    shadow = frozenset(rule.name for rule in policy.rules if rule.shadow and spans(rule, 0, text[:end]))
    return Outcome(released, blocked, tuple(redactions), shadow)


def spans(rule: Rule, number: int, text: str) -> list[tuple[int, int, int]]:
    """All matches in the text and in its normal form, as (start, number, end) in the text."""
    assert rule.searcher is not None
    normal = normalized(text)
    assert "".join(block.norm for block in blocks(text)) == normal
    units = UnitMap(text)
    found = []
    for view in (text, normal):
        place = 0
        while (span := rule.searcher.search(view, place)) is not None:
            in_text = view is text
            start, end = span if in_text else (units.raw_start(span[0]), units.raw_end(span[1]))
            found.append((start, number, end))
            place = span[1]
            if rule.redact is None:
                break
    return found
