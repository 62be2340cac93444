"""Engines that search texts for patterns: RE2 if it is installed, `re` for version 1 and the built-in policy.

Each is imported on first use, since a text that no rule can match needs none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol

__all__ = [
    "END",
    "INSTALL",
    "Engine",
    "RepeatingSearcher",
    "Searcher",
    "Span",
    "best_engine",
    "re2_engine",
    "re_engine",
]

INSTALL = "pip install 'hestiaos[platform]'"
"""The command that installs RE2."""

END = "\0"
"""Marks the end of the text for a searcher for the first match."""

Span = tuple[int, int]


class Searcher(Protocol):
    """Searches texts for patterns."""

    def search(self, text: str, start: int = 0) -> Span | None:
        """Return the span of the first match from `start` on. `\\b` and `^` consider the character before `start`."""
        ...

    def search_all(self, text: str, start: int = 0) -> Iterator[Span]:
        """Yield the span of each match from `start` on, searching from the end of the match before.

        No match may be empty.
        """
        ...


class RepeatingSearcher(ABC):
    """Finds all matches by repeated searches for the first one."""

    @abstractmethod
    def search(self, text: str, start: int = 0) -> Span | None:
        """Return the span of the first match from `start` on."""

    def search_all(self, text: str, start: int = 0) -> Iterator[Span]:
        """Yield the span of each match from `start` on."""
        while (span := self.search(text, start)) is not None:
            yield span
            start = span[1]


class Engine(Protocol):
    """Compiles patterns to searchers. Methods raise `ValueError` with the reason for an invalid pattern."""

    @property
    def joins(self) -> bool:
        """Whether one search for many patterns is faster than a search for each."""
        ...

    def check(self, pattern: str) -> None:
        """Raise `ValueError` for a pattern that is invalid on its own, even if it is valid inside another one."""
        ...

    def can_be_empty(self, pattern: str) -> bool:
        """Return whether a match may be empty."""
        ...

    def compile(self, patterns: Sequence[str]) -> Searcher:
        """Compile a searcher for the first match of any of these patterns."""
        ...

    def compile_whole(self, pattern: str) -> Searcher:
        """Compile a searcher that matches only a whole text, ignoring case."""
        ...

    def compile_first(self, patterns: Sequence[str]) -> Searcher:
        """Compile a searcher for the first match, or for the first piece up to and including `END` that could become a
        match with more text.

        It may miss the empty piece.
        """
        ...

    def compile_beginnings(self, patterns: Sequence[str]) -> Searcher:
        """Compile a searcher for the longest piece at the end of a text that could become a match with more text.

        It always finds one, which may be empty.
        """
        ...


@lru_cache(maxsize=1)
def re2_engine() -> Engine | None:
    """Return the engine that uses RE2, or `None` if it is not installed."""
    from hestiaos_local.governance._re2_engine import Re2Engine

    try:
        return Re2Engine()
    except ImportError:
        return None


def re_engine() -> Engine:
    """Return the engine that uses `re`."""
    from hestiaos_local.governance._re_engine import ReEngine

    return ReEngine()


def best_engine() -> Engine:
    """Return the engine that uses RE2 or, if it is not installed, `re`."""
    return re2_engine() or re_engine()
