"""An engine for patterns that are known to be right: those of the built-in policy, which its tests check.

A text that matches none of them is found so by one search for all. Each by itself is compiled when it is searched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hestiaos_local.governance._engines import Engine, Searcher, Span

__all__ = ["TrustingEngine"]


class TrustingEngine:
    """Compiles with another engine, as late as it can."""

    def __init__(self, engine: Engine) -> None:
        self.joins: bool = engine.joins
        self._engine = engine

    def check(self, pattern: str) -> None:
        """Nothing is checked."""

    def compile(self, patterns: Sequence[str]) -> Searcher:
        return _LateSearcher(lambda: self._engine.compile(patterns))

    def compile_whole(self, pattern: str) -> Searcher:
        return _LateSearcher(lambda: self._engine.compile_whole(pattern))

    def compile_first(self, patterns: Sequence[str]) -> Searcher:
        return _LateSearcher(lambda: self._engine.compile_first(patterns))

    def compile_beginnings(self, patterns: Sequence[str]) -> Searcher:
        return _LateSearcher(lambda: self._engine.compile_beginnings(patterns))


class _LateSearcher:
    def __init__(self, compile: Callable[[], Searcher]) -> None:
        self._compile = compile
        self._searcher: Searcher | None = None

    def search(self, text: str, start: int = 0) -> Span | None:
        return self._compiled().search(text, start)

    def search_all(self, text: str, start: int = 0) -> Iterator[Span]:
        return self._compiled().search_all(text, start)

    def _compiled(self) -> Searcher:
        # Not a `cached_property`, whose lock Ctrl-C can leave taken on 3.11 (python/cpython#87634).
        if self._searcher is None:
            self._searcher = self._compile()
        return self._searcher
