"""The error for a policy that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["PolicyError"]


class PolicyError(ValueError):
    """A policy file cannot be used. `mistakes` has one line for each: its place, the mistake, and how to correct it."""

    __module__ = "hestiaos_local"  # where it is imported from, as tracebacks show it

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes: tuple[str, ...] = (mistakes,) if isinstance(mistakes, str) else tuple(mistakes)
        super().__init__("\n".join(self.mistakes))

    def __reduce__(self) -> tuple[type[PolicyError], tuple[tuple[str, ...]]]:
        return type(self), (self.mistakes,)
