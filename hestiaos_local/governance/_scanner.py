"""Finds the matches of rules in a text that comes in pieces: the same ones for every cutting.

A place of the text is *decided* when no match that begins at it or before it can still become another one with more
text. That is so when no piece that begins there and goes up to the end of what is known is the beginning of a match.
Both views of the text are looked at, and what is decided in one has to be decided in the other. What is *known* goes up
to the last unit (`_mapping`), of which more text may change the normal form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hestiaos_local.governance._engines import END, Engine, Searcher, Span
from hestiaos_local.governance._mapping import UnitMap, is_plain, last_unit, shortened
from hestiaos_local.governance._normal import normalized
from hestiaos_local.governance._rules import Rule

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


_NOTHING = Decided("", 0, ())

_SHORT = 16
"""A last unit may have so many characters until it is looked at in a shorter form."""

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
        self._beginnings: list[Searcher] | None = None
        self._first: Searcher | None = None

    def prepare(self) -> None:
        """Make what a text in pieces needs: of a thousand rules that takes seconds."""
        if not self.hold:
            _ = self.beginnings, self.first

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
        """Finds, in a text with `END` after it, the first match, or with `END` the first piece at the text's end that
        more text could make one."""
        if self._first is None:
            self._first = self._engine.compile_first(self._sources)
        return self._first


class _View:
    """The known part of one form of the text that is not decided, with the character before it. Places are in it."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self.text = ""
        self.start = 0  # the first place that is not decided: 0 at the beginning of the text, else 1
        self.after: dict[int, int] = {}  # where a rule goes on that matched up to there

    def find(self, more: str = "") -> Span | None:
        """What `first` finds in it, or in `more` after it."""
        return self._rules.first.search(f"{self.text}{END}{more}", self.start)

    def look(self, found: Span | None) -> tuple[int, bool]:
        """The first place at which something begins that may become a match, and whether one may begin before it."""
        length = len(self.text)
        if found is None or found[0] >= length:
            return length, False
        if found[1] == length + 1:
            return found[0], False
        return self._rules.beginning(self.text, self.start), True

    def matches(self, frontier: int) -> Iterator[Match]:
        """The matches that begin before this place: of a rule that redacts all, of another the first."""
        for index, searcher in enumerate(self._rules.searchers):
            for start, end in searcher.search_all(self.text, max(self.start, self.after.get(index, 0))):
                if start >= frontier:
                    break
                yield Match(start, index, end)
                if self._rules.rules[index].redact is None:
                    break
                self.after[index] = end

    def move(self, frontier: int) -> int:
        """Everything before this place is decided. Returns how many characters are forgotten."""
        if not frontier:
            return 0
        forgotten = frontier - 1
        self.text, self.start = self.text[forgotten:], 1
        if self.after:
            self.after = {index: place - forgotten for index, place in self.after.items() if place > frontier}
        return forgotten


class Scanner:
    """Receives a text, and says what is decided of it."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules.rules
        self._hold = rules.hold
        self._held: list[str] = []
        self._place = 0  # up to there the text is decided
        self._unit = self._head = ""  # the last unit, and what more text continues as it does this unit
        self._raw, self._norm = _View(rules), _View(rules)
        self._units_from = 0  # where the first unit of the undecided normal form begins in the raw view
        # Each undecided character is a unit and its own normal form: the raw view does for both, the other has no text.
        self._alike = True

    def receive_text(self, text: str) -> Decided:
        """Receive a piece of the text. Returns what is newly decided: up to where depends on all that was received,
        not on the pieces."""
        if self._hold:
            self._held.append(text)
            return _NOTHING
        known, unchanged = self._cut(text) if text else ("", True)
        if not known:
            return _NOTHING
        self._add(known, unchanged=unchanged)
        return self._decided_alike() if self._alike else self._decided()

    def end(self) -> Decided:
        """The text is over. Returns the rest of it."""
        self._add("".join(self._held) or self._unit, unchanged=False)
        self._held.clear()
        raw, norm = len(self._raw.text), len(self._norm.text)
        return self._moved(raw, norm, raw, self._matches(raw, norm))

    def _cut(self, text: str) -> tuple[str, bool]:
        """What becomes known with this piece, and whether each of its characters is surely a unit and unchanged."""
        head, unit = self._head + text, self._unit + text
        start, unchanged = last_unit(head)
        place = start + len(unit) - len(head) if start else 0
        self._unit = unit[place:]
        self._head = self._unit if len(self._unit) <= _SHORT else shortened(head[start:])
        return unit[:place], unchanged and len(unit) == len(head)

    def _add(self, known: str, *, unchanged: bool) -> None:
        raw, norm = self._raw, self._norm
        if self._alike and not unchanged:
            self._alike = False
            self._units_from = raw.start
            norm.text, norm.start, norm.after = raw.text, raw.start, dict(raw.after)
        raw.text += known
        if not self._alike:
            norm.text += known if unchanged else normalized(known)

    def _decided_alike(self) -> Decided:
        raw = self._raw
        frontier, found = raw.look(raw.find())
        matches = sorted(raw.matches(frontier)) if found else ()
        decided = Decided(raw.text[raw.start : frontier], self._place, self._in_text(matches))
        self._place += frontier - raw.start
        raw.move(frontier)
        return decided

    def _decided(self) -> Decided:
        raw, norm = self._raw, self._norm
        if raw.start and norm.start:
            first = raw.find(norm.text + END)  # mostly nothing is in either: one search tells it
            second = norm.find() if first is not None else None
        else:  # at the beginning of a text, which a `^` of the other's pattern does not see after the one
            first, second = raw.find(), norm.find()
        (frontier, found), (norm_frontier, norm_found) = raw.look(first), norm.look(second)
        rest = len(norm.text) - norm_frontier
        place = min(frontier, len(raw.text) - rest)
        if place == len(raw.text) or (place >= self._units_from and is_plain(raw.text, place)):
            frontier = units_from = place
            norm_frontier = len(norm.text) - (len(raw.text) - place)
        else:
            units = UnitMap(raw.text[self._units_from :])
            frontier = min(frontier, self._units_from + units.raw_start(norm_frontier - norm.start))
            norm_frontier = norm.start + units.norm_start(frontier - self._units_from)
            units_from = self._units_from + units.raw_start(norm_frontier - norm.start)
        matches = self._matches(frontier, norm_frontier) if found or norm_found else ()
        return self._moved(frontier, norm_frontier, units_from, matches)

    def _moved(self, frontier: int, norm_frontier: int, units_from: int, matches: Sequence[Match]) -> Decided:
        """Everything before these places is decided."""
        raw, norm = self._raw, self._norm
        decided = Decided(raw.text[raw.start : frontier], self._place, self._in_text(matches))
        self._place += frontier - raw.start
        self._units_from = units_from - raw.move(frontier)
        norm.move(norm_frontier)
        self._alike = (
            self._units_from == raw.start == norm.start
            and raw.text == norm.text
            and not (raw.after or norm.after)
            and (len(raw.text) == raw.start or is_plain(raw.text, raw.start))
        )
        return decided

    def _matches(self, frontier: int, norm_frontier: int) -> Sequence[Match]:
        """The matches in either form of the text, as places of the raw view."""
        raw, norm = self._raw, self._norm
        matches = set(raw.matches(frontier))
        if in_norm := list(norm.matches(norm_frontier)):
            units = UnitMap(raw.text[self._units_from :])
            for start, rule, end in in_norm:
                begin = self._units_from + units.raw_start(start - norm.start)
                matches.add(Match(begin, rule, self._units_from + units.raw_end(end - norm.start)))
        return sorted(matches)

    def _in_text(self, matches: Sequence[Match]) -> Sequence[Match]:
        """Places of the raw view as places of the text."""
        before = self._place - self._raw.start
        return [Match(before + start, rule, before + end) for start, rule, end in matches]
