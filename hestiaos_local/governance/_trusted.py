"""An engine for patterns that need no check: those of the built-in policy, which this project's tests check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hestiaos_local.governance._engines import Engine, Searcher, Span

__all__ = ["TrustingEngine"]


class TrustingEngine:
    """Compiles each pattern with another engine on its first search, and does not check patterns."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._made: Engine | None = None

    @property
    def joins(self) -> bool:
        """As the other engine has it."""
        return self._engine().joins

    def check(self, pattern: str) -> None:
        """Do nothing."""

    def can_be_empty(self, pattern: str) -> bool:
        return False

    def compile(self, patterns: Sequence[str]) -> Searcher:
        return _LateSearcher(lambda: self._engine().compile(patterns))

    def compile_whole(self, pattern: str) -> Searcher:
        return _LateSearcher(lambda: self._engine().compile_whole(pattern))

    def compile_first(self, patterns: Sequence[str]) -> Searcher:
        return _LateSearcher(lambda: self._engine().compile_first(patterns))

    def compile_beginnings(self, patterns: Sequence[str]) -> Searcher:
        return _LateSearcher(lambda: self._engine().compile_beginnings(patterns))

    def _engine(self) -> Engine:
        if self._made is None:
            self._made = self._make()
        return self._made


class _LateSearcher:
    def __init__(self, compile: Callable[[], Searcher]) -> None:
        self._compile = compile
        self._searcher: Searcher | None = None

    def search(self, text: str, start: int = 0) -> Span | None:
        return self._compiled().search(text, start)

    def search_all(self, text: str, start: int = 0) -> Iterator[Span]:
        return self._compiled().search_all(text, start)

    def _compiled(self) -> Searcher:
        # Not a `cached_property`, whose lock stays locked after an ill-timed Ctrl-C on 3.11 (python/cpython#87634).
        if self._searcher is None:
            self._searcher = self._compile()
        return self._searcher
