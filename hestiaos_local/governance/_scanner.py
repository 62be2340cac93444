"""Finds the matches of rules in a text that comes in pieces: the same ones for every cutting.

A place of the text is *decided* when no match that begins at it or before it can still become another one with more
text. That is so when no piece that begins there and goes up to the end of what is known is the beginning of a match.
Both views of the text are looked at, and what is decided in one has to be decided in the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hestiaos_local.governance._engines import Engine, Searcher
from hestiaos_local.governance._mapping import StreamNormalizer
from hestiaos_local.governance._rules import Rule
from hestiaos_local.governance._syntax import parse, shortest

__all__ = ["Decided", "Match", "RuleSet", "Scanner"]


class Match(NamedTuple):  # of which there may be very many to sort
    """The place of a match, in characters of the text; `rule` is its place among the rules."""

    start: int
    rule: int
    end: int


class Decided(NamedTuple):
    """A piece of the text of which all matches are known that begin in it; `start` is where it begins."""

    text: str
    start: int
    matches: Sequence[Match]


_AT_ONCE = 32
"""Of how many patterns the beginnings are searched at once: RE2 takes quadratic time to compile them."""


class RuleSet:
    """Rules that look at a text together.

    What finds beginnings of matches is several times as large as the patterns, and who holds a text back until its end
    needs none of it: it is made when it is needed, or by `prepare`.
    """

    # No cached_property: Ctrl-C can leave its lock taken, for all instances (python/cpython#87634, until 3.12).

    def __init__(self, rules: Sequence[Rule], engine: Engine) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.hold: bool = any(rule.hold for rule in rules)
        self._engine = engine
        self._sources = [source for rule in rules for source in rule.sources]
        self.searchers: list[Searcher] = [rule.searcher for rule in rules if rule.searcher is not None]
        self.any: Searcher = engine.compile(self._sources)
        self._shortest: int | None = None
        self._beginnings: list[Searcher] | None = None
        self._first: Searcher | None = None

    def prepare(self) -> None:
        """Make what a text in pieces needs: of a thousand rules that takes seconds."""
        if not self.hold:
            _ = self.shortest, self.beginnings, self.first

    @property
    def shortest(self) -> int:
        """How many characters a match has at least."""
        if self._shortest is None:
            self._shortest = min(shortest(parse(source)) for source in self._sources)
        return self._shortest

    @property
    def beginnings(self) -> list[Searcher]:
        """Each finds the longest piece at a text's end that more text could make a match of some of the patterns."""
        if self._beginnings is None:
            starts = range(0, len(self._sources), _AT_ONCE)
            self._beginnings = [
                self._engine.compile_beginnings(self._sources[start : start + _AT_ONCE]) for start in starts
            ]
        return self._beginnings

    def beginning(self, text: str, start: int) -> int:
        """Where the longest such piece begins."""
        spans = [searcher.search(text, start) for searcher in self.beginnings]
        return min(span[0] for span in spans if span is not None)

    @property
    def first(self) -> Searcher:
        """Finds the first match, or the first piece at a text's end that more text could make one."""
        if self._first is None:
            self._first = self._engine.compile_first(self._sources)
        return self._first


class _View:
    """The kept part of one form of the text: what is not decided, and the character before it."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self.text = ""
        self.base = 0  # where the kept text begins
        self.floor = 0  # the first place that is not decided
        self.after: dict[int, int] = {}  # where a rule goes on that matched up to there

    @property
    def end(self) -> int:
        """The end of the text that is known."""
        return self.base + len(self.text)

    def look(self) -> tuple[int, bool]:
        """The first place at which something begins that may become a match, and whether one may begin before it."""
        rules, start = self._rules, self.floor - self.base
        first = rules.first.search(self.text, start)
        if first is None or first[0] == len(self.text):
            return self.base + len(self.text), False
        # What is shorter than any match needs no search.
        if len(self.text) - first[0] < rules.shortest or rules.any.search(self.text, first[0]) is None:
            return self.base + first[0], False
        return self.base + rules.beginning(self.text, start), True

    def matches(self, frontier: int) -> Iterator[Match]:
        """The matches that begin before this place: of a rule that redacts all, of another the first."""
        for index, searcher in enumerate(self._rules.searchers):
            place = max(self.floor, self.after.get(index, 0))
            for span in searcher.search_all(self.text, place - self.base):
                start, end = self.base + span[0], self.base + span[1]
                if start >= frontier:
                    break
                yield Match(start, index, end)
                if self._rules.rules[index].redact is None:
                    break
                self.after[index] = end

    def move(self, floor: int) -> None:
        """Everything before this place is decided."""
        self.floor = floor
        if self.after:
            self.after = {index: place for index, place in self.after.items() if place > floor}
        keep = floor - 1 - self.base
        if keep > 0:
            self.text = self.text[keep:]
            self.base += keep


class Scanner:
    """Receives a text, and says what is decided of it."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules.rules
        self._hold = rules.hold
        self._held: list[str] = []
        self._ended = False
        self._normalizer = StreamNormalizer()
        self._raw = _View(rules)
        self._norm = _View(rules)

    def receive_text(self, text: str) -> None:
        """Receive a piece of the text."""
        if self._hold:
            self._held.append(text)
        else:
            self._receive(text)

    def end(self) -> None:
        """The text is over."""
        self._receive("".join(self._held))
        self._held.clear()
        self._norm.text += self._normalizer.end()
        self._ended = True

    def decided(self) -> Decided:
        """The newly decided piece. It depends on what was received, not on the pieces."""
        raw, norm = self._raw, self._norm
        matches: Sequence[Match] = ()
        if self._hold and not self._ended:
            return Decided("", 0, ())
        if self._ended:
            frontier, norm_frontier = raw.end, norm.end
            matches = self._matches(frontier, norm_frontier)
        elif self._normalizer.is_unchanged_from(norm.floor) and not (raw.after or norm.after):
            # What is known of the normal form is the text itself: one search does for both.
            norm_frontier, found = norm.look()
            shift = raw.floor - norm.floor
            frontier = norm_frontier + shift
            if found:
                matches = sorted(raw.matches(frontier))
                norm.after = {index: place - shift for index, place in raw.after.items()}
        else:
            norm_frontier, norm_found = norm.look()
            frontier, found = raw.look()
            frontier = min(frontier, self._normalizer.raw_start(norm_frontier))
            norm_frontier = self._normalizer.norm_start(frontier)
            if found or norm_found:
                matches = self._matches(frontier, norm_frontier)
        text = raw.text[raw.floor - raw.base : frontier - raw.base]
        result = Decided(text, raw.floor, matches)
        if text:
            raw.move(frontier)
            norm.move(norm_frontier)
            self._normalizer.forget(norm.base)
        return result

    def _matches(self, frontier: int, norm_frontier: int) -> Sequence[Match]:
        """The matches in either form of the text."""
        return sorted({*self._raw.matches(frontier), *map(self._in_text, self._norm.matches(norm_frontier))})

    def _receive(self, text: str) -> None:
        self._raw.text += text
        self._norm.text += self._normalizer.receive_text(text)

    def _in_text(self, match: Match) -> Match:
        """A match in the normal form, as a place in the text."""
        return Match(self._normalizer.raw_start(match.start), match.rule, self._normalizer.raw_end(match.end))
