"""Find the matches of rules in a text that arrives in pieces, independent of how it is split.

A position of the text is *decided* if more text cannot change any match that begins at or before it: no piece from
there to the end of the known text is the beginning of a match. Both forms of the text are searched, and a position must
be decided in both. The text is *known* up to its last unit (`_mapping`), whose normal form more text may change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hestiaos_local.governance._engines import END, Span
from hestiaos_local.governance._mapping import UnitMap, is_plain, last_unit, shortened
from hestiaos_local.governance._normal import normalized
from hestiaos_local.governance._rule_sets import RuleSet

__all__ = ["Decided", "Match", "Scanner"]


class Match(NamedTuple):  # fast to sort, as there may be very many
    """The span of a match, in characters of the text. `rule` is the index of its rule."""

    start: int
    rule: int
    end: int


class Decided(NamedTuple):
    """A piece of the text with all matches that begin in it. `start` is its position."""

    text: str
    start: int
    matches: Sequence[Match]


_LONG = 64 * 1024
"""Pieces of at least this length, in characters, are not searched with `re`, as it holds the interpreter's lock."""

_NOTHING = Decided("", 0, ())

_SHORT = 16
"""The maximum length of a last unit, in characters, before it is replaced by a shorter equivalent."""


class _View:
    """The known, undecided part of one form of the text, with the character before it. Positions are in this part."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self.text = ""
        self.start = 0  # the first undecided position: 0 at the beginning of the text, else 1
        self.after: dict[int, int] = {}  # where a rule continues after its last match

    def find(self, more: str = "") -> Span | None:
        """Search for `first` in it, followed by `more`."""
        return self._rules.first.search(f"{self.text}{END}{more}", self.start)

    def look(self, found: Span | None) -> tuple[int, bool]:
        """Return the first position at which a future match may begin, and whether a match may begin before it."""
        length = len(self.text)
        if found is None or found[0] >= length:
            return length, False
        if found[1] == length + 1:
            return found[0], False
        return self._rules.beginning(self.text, self.start), True

    def matches(self, frontier: int) -> Iterator[Match]:
        """Yield the matches that begin before this position: all of a rule that redacts, the first of any other."""
        for index, searcher in enumerate(self._rules.searchers):
            for start, end in searcher.search_all(self.text, max(self.start, self.after.get(index, 0))):
                if start >= frontier:
                    break
                yield Match(start, index, end)
                if self._rules.rules[index].redact is None:
                    break
                self.after[index] = end

    def move(self, frontier: int) -> None:
        """Discard everything before this position, which is decided."""
        if frontier:
            forgotten = frontier - 1
            self.text, self.start = self.text[forgotten:], 1
            if self.after:
                self.after = {index: place - forgotten for index, place in self.after.items() if place > frontier}


class Scanner:
    """Receives a text in pieces, and returns the decided pieces with their matches."""

    def __init__(self, rules: RuleSet) -> None:
        self.rules = rules.rules
        self._hold = rules.hold
        self._held: list[str] = []
        self._place = 0  # the position up to which the text is decided
        self._unit = self._head = ""  # the last unit, and a short text that more text continues in the same way
        self._raw, self._norm = _View(rules), _View(rules)
        self._units_from = 0  # the position in the raw view of the first unit of the undecided normal form
        # If each undecided character is a unit and its own normal form, the raw view is used for both forms.
        self._alike = True
        self._settled = False  # whether all known positions are decided, and the text has begun
        self._opens = (re.compile("") if rules.hold else rules.opening).search

    def receive_text(self, text: str) -> Decided:
        """Receive a piece of the text. Return what is newly decided.

        The end of the decided text depends on all the text received, but not on its pieces.
        """
        if self._hold:
            self._held.append(text)
            return _NOTHING
        known, unchanged = self._cut(text) if text else ("", True)
        if not known:
            return _NOTHING
        form = known if unchanged else normalized(known)
        if self._settled and len(known) < _LONG and not self._opens(known) and (unchanged or not self._opens(form)):
            return self._settle(known, form)
        self._settled = False
        self._add(known, form, unchanged=unchanged)
        return self._decided_alike() if self._alike else self._decided()

    def end(self) -> Decided:
        """Receive the end of the text. Return the rest of it."""
        rest = "".join(self._held) or self._unit
        self._held.clear()
        self._add(rest, normalized(rest), unchanged=False)
        raw = len(self._raw.text)
        return self._moved(raw, self._matches(raw, len(self._norm.text)))

    def _cut(self, text: str) -> tuple[str, bool]:
        """Return the text that becomes known, and whether its characters are certainly unchanged units."""
        head = self._head + text
        unit = head if self._head is self._unit else self._unit + text
        start, unchanged = last_unit(head)
        place = start + len(unit) - len(head) if start else 0
        self._unit = unit[place:]
        self._head = self._unit if len(self._unit) <= _SHORT else shortened(head[start:])
        return unit[:place], unchanged and len(unit) == len(head)

    def _add(self, known: str, form: str, *, unchanged: bool) -> None:
        raw, norm = self._raw, self._norm
        if self._alike and not unchanged:
            self._alike = False
            self._units_from = raw.start
            norm.text, norm.start, norm.after = raw.text, raw.start, dict(raw.after)
        raw.text += known
        if not self._alike:
            norm.text += form

    def _settle(self, text: str, form: str) -> Decided:
        """Decide all of the text, as no match begins in either form."""
        raw, norm = self._raw, self._norm
        raw.text, raw.start, raw.after = text[-1], 1, {}
        norm.text, norm.start, norm.after = form[-1:] or norm.text, 1, {}
        self._units_from = 1
        self._alike = raw.text == norm.text
        self._settled = True
        decided = Decided(text, self._place, ())
        self._place += len(text)
        return decided

    def _decided_alike(self) -> Decided:
        raw = self._raw
        first = raw.find()
        if first is None:
            text = raw.text[raw.start :]
            return self._settle(text, text)
        frontier, found = raw.look(first)
        return self._moved(frontier, sorted(raw.matches(frontier)) if found else ())

    def _decided(self) -> Decided:
        raw, norm = self._raw, self._norm
        if raw.start and norm.start:
            first = raw.find(norm.text + END)
            if first is None:  # the usual case, found by one search
                return self._settle(raw.text[1:], norm.text[1:])
            second = norm.find()
        else:  # at the beginning of a text, which a `^` of the other's pattern does not see after the one
            first, second = raw.find(), norm.find()
        (frontier, found), (norm_frontier, norm_found) = raw.look(first), norm.look(second)
        more = len(raw.text) - len(norm.text)
        place = min(frontier, norm_frontier + more)
        # From an unchanged rest on, the two forms are equal; otherwise each position is mapped.
        plain = place == len(raw.text) or (place >= self._units_from and is_plain(raw.text, place))
        if plain:
            frontier = units_from = place
            norm_frontier = place - more
        else:
            units = UnitMap(raw.text[self._units_from :])
            frontier = min(frontier, self._units_from + units.raw_start(norm_frontier - norm.start))
            norm_frontier = norm.start + units.norm_start(frontier - self._units_from)
            units_from = self._units_from + units.raw_start(norm_frontier - norm.start)
        matches = self._matches(frontier, norm_frontier) if found or norm_found else ()
        decided = self._moved(frontier, matches)
        norm.move(norm_frontier)
        self._units_from = units_from - frontier + raw.start
        self._alike = plain and raw.text == norm.text and raw.start == norm.start and not (raw.after or norm.after)
        return decided

    def _moved(self, frontier: int, matches: Sequence[Match]) -> Decided:
        """Return everything before this position of the raw view, which is decided, with these matches."""
        raw = self._raw
        if matches:
            before = self._place - raw.start
            matches = [Match(before + start, rule, before + end) for start, rule, end in matches]
        decided = Decided(raw.text[raw.start : frontier], self._place, matches)
        self._place += frontier - raw.start
        raw.move(frontier)
        return decided

    def _matches(self, frontier: int, norm_frontier: int) -> Sequence[Match]:
        """Return the matches in either form of the text, with positions in the raw view."""
        raw, norm = self._raw, self._norm
        matches = set(raw.matches(frontier))
        if in_norm := list(norm.matches(norm_frontier)):
            units = UnitMap(raw.text[self._units_from :])
            for start, rule, end in in_norm:
                begin = self._units_from + units.raw_start(start - norm.start)
                matches.add(Match(begin, rule, self._units_from + units.raw_end(end - norm.start)))
        return sorted(matches)
