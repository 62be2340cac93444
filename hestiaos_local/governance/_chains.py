"""All hash chains of a decision log, one after another. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hestiaos_local.governance._chain import CHAIN_SIZE, Head, chain_start
from hestiaos_local.governance._chain_verifier import ChainVerifier, LogFault, LogPage

__all__ = ["LogVerifier"]


class LogVerifier:
    """Checks a log: `receive` is given its pages in their order, those of one chain after those of the chain before.

    Both give what is wrong, as `ChainVerifier` does. The numbers of chains have no gaps: one that is missing is found,
    unless it is the last. `known` are heads that were kept elsewhere: the log has to hold each, unless retention has
    deleted it. So the heads of all chains together prove the whole log.
    """

    def __init__(self, known: Iterable[Head] = ()) -> None:
        self._known = {head.number // CHAIN_SIZE: head for head in known}
        self._chains: list[ChainVerifier] = []
        self._anchors: list[Head] = []
        self._chain = -1
        self._noted = True

    @property
    def count(self) -> int:
        """How many entries there were."""
        return sum(chain.count for chain in self._chains)

    @property
    def first(self) -> int | None:
        """The number of the first entry; `None` where there is none."""
        return next((chain.first for chain in self._chains if chain.first is not None), None)

    @property
    def anchors(self) -> tuple[Head, ...]:
        """Of each chain the last entry that retention has deleted."""
        return tuple(self._anchors)

    @property
    def heads(self) -> tuple[Head, ...]:
        """Of each chain the last place that was checked: what to keep elsewhere, once all is checked."""
        return tuple(chain.last for chain in self._chains)

    def receive(self, page: LogPage) -> Iterator[LogFault]:
        """Check the next page."""
        if page.chain != self._chain:
            yield from self._end_chain()
            if page.chain > self._chain + 1:
                yield _missing(self._chain + 1, page.chain - 1)
            self._chain = page.chain
            self._chains.append(ChainVerifier(self._known.pop(page.chain, None)))
            self._anchors.append(page.anchor)
        self._anchors[-1], self._noted = page.anchor, page.noted
        yield from self._chains[-1].receive(page)

    def end(self) -> Iterator[LogFault]:
        """Check that each chain ends where it should, and that none is missing which was known."""
        yield from self._end_chain()
        for chain, known in self._known.items():
            yield _missing(chain, chain, f", whose entry {known.number} was known")

    def _end_chain(self) -> Iterator[LogFault]:
        if not self._chains:
            return
        verifier = self._chains[-1]
        if not verifier.count and not self._noted:
            yield _missing(self._chain, self._chain)
        yield from verifier.end()


def _missing(first: int, last: int, known: str = "") -> LogFault:
    chains = f"the chain {first} is" if first == last else f"the chains {first} to {last} are"
    return LogFault(chain_start(first).number + 1, f"{chains} missing{known}")
