"""The parts of a policy: rules, limits and tests; and its verdicts."""

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
"""The things that a rule looks at."""


@frozen
class Bucket:
    """A token bucket: `requests` at once, and as many again, evenly, in `per` seconds."""

    requests: int
    per: float


@frozen(kw_only=True)
class Limit:
    """The requests and tokens that each key, agent, session, or all together, may use in `window` seconds."""

    name: str
    per: Literal["key", "agent", "session", "all"]
    window: float
    requests: int | None = None
    tokens: int | None = None


@frozen
class ShadowHit:
    """The match of a rule in shadow mode: `decision` is a decision's name, or `"redact"`."""

    rule: str
    decision: str
    risk: float


@frozen(kw_only=True)
class Verdict:
    """A policy's verdict on an execution, an output or a tool's call.

    `rule` is `None` where none decided. `policy` is the SHA-256 of the policy, in hexadecimal. `approval` names the
    rules by which something is blocked until somebody approves it; `max_tokens` and `bucket` are those of a THROTTLE.
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
    """The texts that rules look at, each in all its forms, or, for a `plain` subject, as it is."""

    def __init__(self, texts: Iterable[str], *, plain: bool = False) -> None:
        views = texts if plain else (view for text in texts for view in views_of(text))
        self._views = tuple(dict.fromkeys(views))
        self._folded: str | None = None

    def has_literal(self, literals: Iterable[str]) -> bool:
        """Whether one of these is somewhere, without regard to case; they are given in lower case."""
        if self._folded is None:
            self._folded = "\0".join(self._views).casefold()
        return any(literal in self._folded for literal in literals)

    def has(self, pattern: Searcher, ignored: Searcher | None = None) -> bool:
        """Whether the pattern matches somewhere, in what is left without the matches of `ignored`."""
        for view in self._views:
            if pattern.search(view) is not None and (
                ignored is None or pattern.search(_without(ignored, view)) is not None
            ):
                return True
        return False


def _without(ignored: Searcher, text: str) -> str:
    """The text with a NUL, which no normal form has, for each match."""
    pieces: list[str] = []
    place = 0
    for start, end in ignored.search_all(text):
        pieces.append(text[place:start])
        place = end
    return "\0".join([*pieces, text[place:]])


@frozen(kw_only=True)
class Rule:
    """One rule: what it looks at, and what it does there.

    `sources` are its patterns as they are written, of which one has to match; without any it matches whatever its
    conditions fit. `ignored` are the patterns of what is left out of a text before; `redact` is what a match is
    replaced with by a rule that does not decide but redacts. If there are `literals`, each match of the patterns has
    one of them, without regard to case: a text that has none need not be searched.
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
        """Whether its conditions hold: each names what may be, and what is not known fits none."""
        return all(getattr(facts, name) in names for name, names in self.conditions.items())

    def matches_command(self, command_type: Subject) -> bool:
        """Whether its pattern is the whole kind of the command."""
        return self.whole is None or (self.may_match(command_type) and command_type.has(self.whole))

    def matches(self, subject: Subject) -> bool:
        """Whether one of its patterns is somewhere in the texts."""
        return self.searcher is None or (self.may_match(subject) and subject.has(self.searcher, self.ignoring))

    def may_match(self, subject: Subject) -> bool:
        """Whether the texts have what each match of its patterns has."""
        return not self.literals or subject.has_literal(self.literals)

    def matches_arguments(self, arguments: Any) -> bool:
        """Whether what stands at its path in a tool's arguments matches; what is not there does not."""
        assert self.path is not None, "a rule without a path looks at all texts"
        found = at_path(arguments, self.path)
        return bool(found) and self.matches(Subject(text for value in found for text in texts_of(value)))

    def hit(self) -> ShadowHit:
        """The note of its match in shadow mode."""
        return ShadowHit(self.name, self.decision or "redact", self.risk)


@frozen(kw_only=True)
class PolicyTest:
    """An example in a policy's file: facts, or an output under them, and what has to come of it."""

    facts: Facts
    output: str | None = None
    expect: str
    rule: str | None = None
