"""An engine that uses Python's `re`, for version 1 and, if RE2 is not installed, for the built-in policy.

`re` holds the interpreter's lock, so a long text is searched in windows, between which other threads can run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from hestiaos_local.governance._engines import RepeatingSearcher, Searcher, Span
from hestiaos_local.governance._syntax import Either, Node, Place, Seq, parse, shortest
from hestiaos_local.governance._writing import beginnings, first, for_re

__all__ = ["ReEngine", "WholeSearcher", "WindowedSearcher"]


class ReEngine:
    """Compiles with `re`. Patterns in RE2's syntax are rewritten so that they match the same."""

    joins = False

    def check(self, pattern: str) -> None:
        for_re(parse(pattern))

    def can_be_empty(self, pattern: str) -> bool:
        return shortest(parse(pattern)) == 0

    def compile(self, patterns: Sequence[str]) -> Searcher:
        return _of(Either(tuple(parse(pattern) for pattern in patterns)))

    def compile_whole(self, pattern: str) -> Searcher:
        parse(pattern)  # separately, as in `Re2Engine`
        return _of(Seq((Place(r"\A"), parse(f"(?i:{pattern})"), Place(r"\z"))))

    def compile_beginnings(self, patterns: Sequence[str]) -> Searcher:
        return _of(beginnings(patterns))

    def compile_first(self, patterns: Sequence[str]) -> Searcher:
        return _of(first(patterns))


def _of(node: Node) -> Searcher:
    try:
        return WindowedSearcher(re.compile(for_re(node)))
    except re.error as error:
        raise ValueError(str(error)) from None


_WINDOW = 64 * 1024  # the number of positions at which one search tries a pattern, in characters
_FLAGS = re.compile(r"\(\?[a-z]+\)")


class WindowedSearcher(RepeatingSearcher):
    """Searches for a pattern of `re` in windows."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def search(self, text: str, start: int = 0) -> Span | None:
        if len(text) - start > _WINDOW:
            windowed = _windowed(self._pattern)
            starts = range(start, len(text) + 1, _WINDOW)
            window = next((place for place in starts if windowed.match(text, place)), None)
            if window is None:
                return None
            start = window
        match = self._pattern.search(text, start)
        return None if match is None else match.span()


class WholeSearcher(RepeatingSearcher):
    """Matches a pattern of `re` against a whole text."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def search(self, text: str, start: int = 0) -> Span | None:
        match = self._pattern.fullmatch(text, start)
        return None if match is None else match.span()


@lru_cache(maxsize=256)
def _windowed(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """Return a pattern that matches at a position if `pattern` matches there or at one of the next `_WINDOW`."""
    flags = _FLAGS.match(pattern.pattern)  # global flags can only be at the beginning, and `pattern.flags` has them
    inner = pattern.pattern[flags.end() if flags is not None else 0 :]
    end = "\n" if pattern.flags & re.VERBOSE else ""  # the end of a comment
    return re.compile(f"(?s:.{{0,{_WINDOW - 1}}}?)(?:{inner}{end})", pattern.flags)
