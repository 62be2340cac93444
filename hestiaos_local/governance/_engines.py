"""Engines that search texts for patterns: RE2 where it is installed, `re` for version 1 and the built-in policy.

RE2 takes time that grows as the text does, whatever the pattern, and searches without the interpreter's lock
(`py::gil_scoped_release` in google/re2, `python/_re2.cc`). `re` holds it; a long text is searched in windows, and the
lock is free between two of them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, Protocol

from hestiaos_local.governance._syntax import Either, Node, Place, Seq, parse
from hestiaos_local.governance._writing import beginning, begun, for_re, for_re2

__all__ = [
    "INSTALL",
    "Engine",
    "Re2Engine",
    "ReEngine",
    "RepeatingSearcher",
    "Searcher",
    "Span",
    "WholeSearcher",
    "WindowedSearcher",
    "re2_engine",
]

INSTALL = "pip install 'hestiaos[platform]'"
"""The command that installs RE2."""

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

    joins: bool
    """Whether one search for many patterns is faster than a search for each."""

    def check(self, pattern: str) -> None:
        """Raise `ValueError` for a pattern that is wrong by itself, whatever stands around it."""
        ...

    def compile(self, patterns: Sequence[str]) -> Searcher:
        """A searcher for the first match of any of these."""
        ...

    def compile_whole(self, pattern: str) -> Searcher:
        """A searcher that matches a whole text only, without regard to case."""
        ...

    def compile_first(self, patterns: Sequence[str]) -> Searcher:
        """A searcher for the first match, or for the first piece at a text's end that more text could make one.

        It may miss the empty piece.
        """
        ...

    def compile_beginnings(self, patterns: Sequence[str]) -> Searcher:
        """A searcher for the longest piece at a text's end that more text could make a match of one of these.

        It always finds one, which may be empty.
        """
        ...


_SURROGATES = re.compile("[\ud800-\udfff]")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # UTF-8 has no lone surrogates
        return _SURROGATES.sub("\ufffd", text).encode()


class Re2Engine:
    """RE2. Raises `ImportError` where it is not installed."""

    joins = True

    def __init__(self) -> None:
        self._re2: Any = import_module("re2")

    def check(self, pattern: str) -> None:
        self._searcher(pattern)
        parse(pattern)  # which governs outputs

    def compile(self, patterns: Sequence[str]) -> Searcher:
        return self._searcher("|".join(f"(?:{pattern})" for pattern in patterns) if patterns[1:] else patterns[0])

    def compile_whole(self, pattern: str) -> Searcher:
        self._searcher(pattern)  # by itself: what only fits between the parentheses is not a pattern
        return self._searcher(rf"\A(?i:{pattern})\z")

    def compile_beginnings(self, patterns: Sequence[str]) -> Searcher:
        return self._searcher(for_re2(_beginnings(patterns)))

    def compile_first(self, patterns: Sequence[str]) -> Searcher:
        return self._searcher(for_re2(_first(patterns)))

    def _searcher(self, pattern: str) -> Searcher:
        options = self._re2.Options()
        options.never_capture = True
        options.log_errors = False
        options.max_mem = 1 << 26  # bytes, taken when they are needed: a search that has less is slower
        try:
            return _Re2Searcher(self._re2.compile(_encoded(pattern), options))
        except self._re2.error as error:
            raise ValueError(error.args[0].decode()) from None


class _Re2Searcher:
    def __init__(self, pattern: Any) -> None:
        self._search = pattern.search
        self._finditer = pattern.finditer

    def search(self, text: str, start: int = 0) -> Span | None:
        data = _encoded(text)
        if len(data) == len(text):
            match = self._search(data, start)
            return None if match is None else match.span()
        match = self._search(data, len(_encoded(text[:start])))
        if match is None:
            return None
        first, last = match.span()
        begin = len(data[:first].decode())
        return begin, begin + len(data[first:last].decode())

    def search_all(self, text: str, start: int = 0) -> Iterator[Span]:
        data = _encoded(text)
        if len(data) == len(text):
            for match in self._finditer(data, start):
                yield match.span()
            return
        place, end = len(_encoded(text[:start])), start  # the same place in bytes and in characters
        for match in self._finditer(data, place):
            first, last = match.span()
            begin = end + len(data[place:first].decode())
            place, end = last, begin + len(data[first:last].decode())
            yield begin, end


@lru_cache(maxsize=1)
def re2_engine() -> Engine | None:
    """RE2, or `None` where it is not installed."""
    try:
        return Re2Engine()
    except ImportError:
        return None


class ReEngine:
    """`re`: patterns in RE2's syntax are rewritten so that it matches what RE2 does."""

    joins = False

    def check(self, pattern: str) -> None:
        for_re(parse(pattern))

    def compile(self, patterns: Sequence[str]) -> Searcher:
        return _of(Either(tuple(parse(pattern) for pattern in patterns)))

    def compile_whole(self, pattern: str) -> Searcher:
        parse(pattern)  # by itself, as RE2 does
        return _of(Seq((Place(r"\A"), parse(f"(?i:{pattern})"), Place(r"\z"))))

    def compile_beginnings(self, patterns: Sequence[str]) -> Searcher:
        return _of(_beginnings(patterns))

    def compile_first(self, patterns: Sequence[str]) -> Searcher:
        return _of(_first(patterns))


def _of(node: Node) -> Searcher:
    try:
        return WindowedSearcher(re.compile(for_re(node)))
    except re.error as error:
        raise ValueError(str(error)) from None


def _beginnings(patterns: Sequence[str]) -> Node:
    return Seq((Either(tuple(beginning(parse(pattern)) for pattern in patterns)), Place(r"\z")))


def _first(patterns: Sequence[str]) -> Node:
    nodes = [parse(pattern) for pattern in patterns]
    beginnings = [Seq((node, Place(r"\z"))) for node in map(begun, nodes) if node is not None]
    return Either((*nodes, *beginnings))


_WINDOW = 64 * 1024  # at so many places of a text, in characters, a pattern is tried at once
_FLAGS = re.compile(r"\(\?[a-z]+\)")


class WindowedSearcher(RepeatingSearcher):
    """Searches with a pattern of `re`."""

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
    """Finds a text that a pattern of `re` fits from its beginning to its end."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def search(self, text: str, start: int = 0) -> Span | None:
        match = self._pattern.fullmatch(text, start)
        return None if match is None else match.span()


@lru_cache(maxsize=256)
def _windowed(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """A pattern that matches at a place where `pattern` does at that place or at one of the next `_WINDOW`."""
    flags = _FLAGS.match(pattern.pattern)  # they stand at the beginning or nowhere, and `pattern.flags` has them
    inner = pattern.pattern[flags.end() if flags is not None else 0 :]
    end = "\n" if pattern.flags & re.VERBOSE else ""  # the end of a comment
    return re.compile(f"(?s:.{{0,{_WINDOW - 1}}}?)(?:{inner}{end})", pattern.flags)
