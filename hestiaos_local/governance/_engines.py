"""Engines that search texts for patterns: RE2 where it is installed, `re` for version 1 and the built-in policy.

Each is loaded when it is first asked for: a text that no rule may match needs none.
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
"""What a searcher for the first match takes for the end of the text."""

Span = tuple[int, int]


class Searcher(Protocol):
    """Searches a text."""

    def search(self, text: str, start: int = 0) -> Span | None:
        """Where the first match from `start` on begins and ends; `\\b` and `^` see what stands before `start`."""
        ...

    def search_all(self, text: str, start: int = 0) -> Iterator[Span]:
        """Where each match from `start` on begins and ends, each searched from the end of the one before. None may be
        empty."""
        ...


class RepeatingSearcher(ABC):
    """Finds all matches by one search after the other."""

    @abstractmethod
    def search(self, text: str, start: int = 0) -> Span | None:
        """The first match."""

    def search_all(self, text: str, start: int = 0) -> Iterator[Span]:
        """Each match."""
        while (span := self.search(text, start)) is not None:
            yield span
            start = span[1]


class Engine(Protocol):
    """Makes searchers. Raises `ValueError` for what is not a pattern; the message says why."""

    @property
    def joins(self) -> bool:
        """Whether one search for many patterns is faster than a search for each."""
        ...

    def check(self, pattern: str) -> None:
        """Raise `ValueError` for a pattern that is wrong by itself, whatever stands around it."""
        ...

    def can_be_empty(self, pattern: str) -> bool:
        """Whether a match may have no characters."""
        ...

    def compile(self, patterns: Sequence[str]) -> Searcher:
        """A searcher for the first match of any of these."""
        ...

    def compile_whole(self, pattern: str) -> Searcher:
        """A searcher that matches a whole text only, without regard to case."""
        ...

    def compile_first(self, patterns: Sequence[str]) -> Searcher:
        """A searcher for the first match, or for the first piece before an `END`, and this, that more text could make
        one.

        It may miss the empty piece.
        """
        ...

    def compile_beginnings(self, patterns: Sequence[str]) -> Searcher:
        """A searcher for the longest piece at a text's end that more text could make a match of one of these.

        It always finds one, which may be empty.
        """
        ...


@lru_cache(maxsize=1)
def re2_engine() -> Engine | None:
    """RE2, or `None` where it is not installed."""
    from hestiaos_local.governance._re2_engine import Re2Engine

    try:
        return Re2Engine()
    except ImportError:
        return None


def re_engine() -> Engine:
    """`re`."""
    from hestiaos_local.governance._re_engine import ReEngine

    return ReEngine()


def best_engine() -> Engine:
    """RE2 or, where it is not installed, `re`."""
    return re2_engine() or re_engine()
