"""Rules that are applied to a text together, with searchers for their matches and the beginnings of matches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hestiaos_local.governance._engines import Engine, Searcher
from hestiaos_local.governance._rules import Rule
from hestiaos_local.governance._syntax import Either, firsts, parse
from hestiaos_local.governance._writing import for_re

__all__ = ["RuleSet"]

_AT_ONCE = 32
"""How many patterns are compiled together for their beginnings, since RE2 compiles them in quadratic time."""


class RuleSet:
    """Rules that are applied to a text together.

    The searchers for beginnings of matches are several times as large as the patterns, and are not needed for a text
    that is held back until its end. They are compiled on first use, or by `prepare`.
    """

    # Not a cached_property: Ctrl-C can leave its lock locked, for all instances (python/cpython#87634, until 3.12).

    def __init__(self, rules: Sequence[Rule], engine: Engine) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.hold: bool = any(rule.hold for rule in rules)
        self._engine = engine
        self._sources = [source for rule in rules for source in rule.sources]
        self.searchers: list[Searcher] = [rule.searcher for rule in rules if rule.searcher is not None]
        self.any: Searcher = engine.compile(self._sources)
        self._beginnings: list[Searcher] | None = None
        self._first: Searcher | None = None
        self._opening: re.Pattern[str] | None = None

    def prepare(self) -> None:
        """Compile the searchers for texts in pieces, which takes seconds for a thousand rules."""
        if not self.hold:
            _ = self.beginnings, self.first, self.opening

    @property
    def beginnings(self) -> list[Searcher]:
        """Searchers for the longest piece at the end of a text that could become a match, for some patterns each."""
        if self._beginnings is None:
            starts = range(0, len(self._sources), _AT_ONCE)
            self._beginnings = [
                self._engine.compile_beginnings(self._sources[start : start + _AT_ONCE]) for start in starts
            ]
        return self._beginnings

    @property
    def opening(self) -> re.Pattern[str]:
        """A searcher for the characters with which a match may begin, and possibly others."""
        if self._opening is None:
            self._opening = _opening(self._sources)
        return self._opening

    def beginning(self, text: str, start: int) -> int:
        """Return the beginning of the longest piece at the end of a text that could become a match."""
        spans = [searcher.search(text, start) for searcher in self.beginnings]
        return min(span[0] for span in spans if span is not None)

    @property
    def first(self) -> Searcher:
        """Finds, in a text with `END` after it, the first match, or with `END` the first piece at the text's end that
        more text could make one."""
        if self._first is None:
            self._first = self._engine.compile_first(self._sources)
        return self._first


def _opening(sources: Iterable[str]) -> re.Pattern[str]:
    chars = dict.fromkeys(char for source in sources for char in firsts(parse(source)))
    try:
        if not any("i" in char.flags and _NOT_ASCII.search(char.source) for char in chars):
            return re.compile(for_re(Either(tuple(chars))))
    except ValueError:
        pass  # a class that only RE2 has
    return re.compile("")


_NOT_ASCII = re.compile(r"[^\0-\x7f]|\\[x0-7]")  # `for_re` does not fold the case of these
