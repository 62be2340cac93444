"""Verify all hash chains of a decision log. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hestiaos_local.governance._chain import CHAIN_SIZE, Head, chain_start
from hestiaos_local.governance._chain_verifier import ChainVerifier, LogFault, LogPage

__all__ = ["LogVerifier"]


class LogVerifier:
    """Verifies a log. Pass its pages in order to `receive`, one chain after another, then call `end`.

    Both yield faults, like those of `ChainVerifier`. Chains are numbered without gaps, so a missing one is found unless
    it is the last. `known` are heads that were stored elsewhere. The log must contain each of them, unless retention
    has deleted it; the heads of all chains together prove the whole log.
    """

    def __init__(self, known: Iterable[Head] = ()) -> None:
        self._known = {head.number // CHAIN_SIZE: head for head in known}
        self._chains: list[ChainVerifier] = []
        self._anchors: list[Head] = []
        self._chain = -1
        self._has_head = True

    @property
    def count(self) -> int:
        """The number of entries verified."""
        return sum(chain.count for chain in self._chains)

    @property
    def first(self) -> int | None:
        """The number of the first entry, None if there is none."""
        return next((chain.first for chain in self._chains if chain.first is not None), None)

    @property
    def anchors(self) -> tuple[Head, ...]:
        """For each chain, the last entry that retention deleted."""
        return tuple(self._anchors)

    @property
    def heads(self) -> tuple[Head, ...]:
        """For each chain, the last verified position: at the end, the heads to store elsewhere."""
        return tuple(chain.last for chain in self._chains)

    def receive(self, page: LogPage) -> Iterator[LogFault]:
        """Verify the next page."""
        if page.chain != self._chain:
            yield from self._end_chain()
            if page.chain > self._chain + 1:
                yield _missing(self._chain + 1, page.chain - 1)
            self._chain = page.chain
            self._chains.append(ChainVerifier(self._known.pop(page.chain, None)))
            self._anchors.append(page.anchor)
        self._anchors[-1], self._has_head = page.anchor, page.has_head
        yield from self._chains[-1].receive(page)

    def end(self) -> Iterator[LogFault]:
        """Verify that the last chain ends at its head, and that no chain of a known head is missing."""
        yield from self._end_chain()
        for chain, known in self._known.items():
            yield _missing(chain, chain, f", which had the known entry {known.number}")

    def _end_chain(self) -> Iterator[LogFault]:
        if not self._chains:
            return
        verifier = self._chains[-1]
        if not verifier.count and not self._has_head:
            yield _missing(self._chain, self._chain)
        yield from verifier.end()


def _missing(first: int, last: int, known: str = "") -> LogFault:
    chains = f"the chain {first} is" if first == last else f"the chains {first} to {last} are"
    return LogFault(chain_start(first).number + 1, f"{chains} missing{known}")
