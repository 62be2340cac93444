"""The parts of a policy (rules, limits and tests), and its verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, get_args

from attrs import field, frozen

from hestiaos_local.governance._engines import Searcher
from hestiaos_local.governance._facts import Facts, at_path, texts_of
from hestiaos_local.governance._views import views_of

__all__ = [
    "DECISIONS",
    "Bucket",
    "DecisionName",
    "Limit",
    "PolicyTest",
    "Rule",
    "RuleKind",
    "ShadowHit",
    "Subject",
    "Verdict",
]

DecisionName = Literal["ALLOW", "THROTTLE", "BLOCK"]
"""The name of a decision."""

DECISIONS: Final[tuple[DecisionName, ...]] = get_args(DecisionName)
"""The names of the decisions."""

RuleKind = Literal["input", "output", "tool", "command"]
"""The kinds of text that a rule applies to."""


@frozen
class Bucket:
    """A token bucket: up to `requests` at once, refilled evenly in `per` seconds."""

    requests: int
    per: float


@frozen(kw_only=True)
class Limit:
    """The maximum requests and tokens in `window` seconds, for each key, agent or session, or for all together."""

    name: str
    per: Literal["key", "agent", "session", "all"]
    window: float
    requests: int | None = None
    tokens: int | None = None


@frozen
class ShadowHit:
    """A match of a rule in shadow mode. `decision` is the name of a decision, or `"redact"`."""

    rule: str
    decision: str
    risk: float


@frozen(kw_only=True)
class Verdict:
    """A policy's verdict on an execution, an output or a tool call.

    `rule` is None if no rule decided. `policy` is the hexadecimal SHA-256 of the policy. `approval` has the names of
    the rules that block the call until it is approved. `max_tokens` and `bucket` belong to THROTTLE.
    """

    decision: DecisionName
    rule: str | None = None
    reason: str = "no rule matches"
    risk: float = 0.0
    shadow: tuple[ShadowHit, ...] = ()
    policy: str = ""
    approval: tuple[str, ...] = ()
    max_tokens: int | None = None
    bucket: Bucket | None = None


class Subject:
    """The texts that rules are applied to, in all their forms or, if `plain`, only as given."""

    def __init__(self, texts: Iterable[str], *, plain: bool = False) -> None:
        views = texts if plain else (view for text in texts for view in views_of(text))
        self._views = tuple(dict.fromkeys(views))
        self._folded: str | None = None

    def has_literal(self, literals: Iterable[str]) -> bool:
        """Return whether the texts contain one of these case-folded literals, in any case."""
        if self._folded is None:
            self._folded = "\0".join(self._views).casefold()
        return any(literal in self._folded for literal in literals)

    def has(self, pattern: Searcher, ignored: Searcher | None = None) -> bool:
        """Return whether the pattern matches anywhere, after matches of `ignored` are removed."""
        for view in self._views:
            if pattern.search(view) is not None and (
                ignored is None or pattern.search(_without(ignored, view)) is not None
            ):
                return True
        return False


def _without(ignored: Searcher, text: str) -> str:
    """Replace each match by NUL, which no normal form contains."""
    pieces: list[str] = []
    place = 0
    for start, end in ignored.search_all(text):
        pieces.append(text[place:start])
        place = end
    return "\0".join([*pieces, text[place:]])


@frozen(kw_only=True)
class Rule:
    """A rule of a policy.

    `sources` are its patterns, one of which has to match. Without patterns, the conditions are sufficient. Matches of
    the patterns `ignored` are removed from a text before. `redact` is the replacement of matches in a rule that redacts
    instead of deciding. If there are `literals`, each match of the patterns contains one of them, in any case, so that
    a text without them need not be searched.
    """

    name: str
    on: frozenset[RuleKind]
    sources: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    literals: tuple[str, ...] = ()
    decision: DecisionName | None = None
    redact: str | None = None
    risk: float = 0.0
    reason: str = ""
    conditions: Mapping[str, frozenset[str]] = field(factory=dict)
    path: tuple[str, ...] | None = None
    shadow: bool = False
    approval: bool = False
    hold: bool = False
    max_tokens: int | None = None
    bucket: Bucket | None = None
    searcher: Searcher | None = field(default=None, eq=False, repr=False)
    ignoring: Searcher | None = field(default=None, eq=False, repr=False)
    whole: Searcher | None = field(default=None, eq=False, repr=False)

    def fits(self, facts: Facts) -> bool:
        """Return whether all conditions hold. A condition lists the allowed values; an unknown fact never fits."""
        return all(getattr(facts, name) in names for name, names in self.conditions.items())

    def matches_command(self, command_type: Subject) -> bool:
        """Return whether its pattern matches the whole type of the command."""
        return self.whole is None or (self.may_match(command_type) and command_type.has(self.whole))

    def matches(self, subject: Subject) -> bool:
        """Return whether one of its patterns matches anywhere in the texts."""
        return self.searcher is None or (self.may_match(subject) and subject.has(self.searcher, self.ignoring))

    def may_match(self, subject: Subject) -> bool:
        """Return whether the texts contain a literal that every match needs."""
        return not self.literals or subject.has_literal(self.literals)

    def matches_arguments(self, arguments: Any) -> bool:
        """Return whether a value at its path in a tool's arguments matches. A missing value does not."""
        assert self.path is not None, "a rule without a path is applied to all texts"
        found = at_path(arguments, self.path)
        return bool(found) and self.matches(Subject(text for value in found for text in texts_of(value)))

    def hit(self) -> ShadowHit:
        """Return the record of a match in shadow mode."""
        return ShadowHit(self.name, self.decision or "redact", self.risk)


@frozen(kw_only=True)
class PolicyTest:
    """A test in a policy file: facts, optionally an output, and the expected result."""

    facts: Facts
    output: str | None = None
    expect: str
    rule: str | None = None
