"""An engine that uses RE2, through google-re2.

A search takes time linear in the length of the text, whatever the pattern, and does not hold the interpreter's lock
(`py::gil_scoped_release` in google/re2, `python/_re2.cc`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from hestiaos_local.governance._engines import Searcher, Span
from hestiaos_local.governance._syntax import parse, shortest
from hestiaos_local.governance._writing import beginnings, first, for_re2

__all__ = ["Re2Engine"]

_SURROGATES = re.compile("[\ud800-\udfff]")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # UTF-8 cannot encode lone surrogates
        return _SURROGATES.sub("\ufffd", text).encode()


class Re2Engine:
    """Compiles with RE2. Raises `ImportError` if it is not installed."""

    joins = True

    def __init__(self) -> None:
        self._re2: Any = import_module("re2")

    def check(self, pattern: str) -> None:
        self._searcher(pattern)
        parse(pattern)  # the governor of outputs needs the tree

    def can_be_empty(self, pattern: str) -> bool:
        return shortest(parse(pattern)) == 0

    def compile(self, patterns: Sequence[str]) -> Searcher:
        return self._searcher("|".join(f"(?:{pattern})" for pattern in patterns) if patterns[1:] else patterns[0])

    def compile_whole(self, pattern: str) -> Searcher:
        self._searcher(pattern)  # separately, since a pattern with unbalanced parentheses might be valid inside others
        return self._searcher(rf"\A(?i:{pattern})\z")

    def compile_beginnings(self, patterns: Sequence[str]) -> Searcher:
        return self._searcher(for_re2(beginnings(patterns)))

    def compile_first(self, patterns: Sequence[str]) -> Searcher:
        return self._searcher(for_re2(first(patterns)))

    def _searcher(self, pattern: str) -> Searcher:
        options = self._re2.Options()
        options.never_capture = True
        options.log_errors = False
        options.max_mem = 1 << 26  # bytes, allocated on demand; with less, searches are slower
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
        place, end = len(_encoded(text[:start])), start  # the same position in bytes and in characters
        for match in self._finditer(data, place):
            first, last = match.span()
            begin = end + len(data[place:first].decode())
            place, end = last, begin + len(data[first:last].decode())
            yield begin, end
