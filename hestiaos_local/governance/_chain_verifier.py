"""Verifies a hash chain: finds what was changed in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from hestiaos_local.governance._chain import START, Head, entry_hash

__all__ = ["ChainVerifier", "LogEntry", "LogFault", "LogPage"]


@frozen
class LogEntry:
    """One entry: its number, which counts from 1 in the first chain, its record as JSON, and its hash.

    `indexed` is whether the storage's index agrees with the record.
    """

    number: int
    record: bytes
    hash: bytes
    indexed: bool = True


@frozen
class LogPage:
    """Consecutive entries of one chain, with the state of the chain at the same moment.

    `anchor` is the last entry of the `chain` that retention deleted. `head` is the last entry that was written, as it
    is stored next to the log; `has_head` is False if it is missing there. The next page, of this chain or the next one,
    starts after the number `next`, which is None for the last page.
    """

    anchor: Head
    head: Head
    entries: tuple[LogEntry, ...]
    next: int | None = None
    chain: int = 0
    has_head: bool = True

    @property
    def more(self) -> bool:
        """Whether there is a next page."""
        return self.next is not None


@frozen
class LogFault:
    """A fault of the log, at the entry with this `number`."""

    number: int
    what: str


class ChainVerifier:
    """Verifies a chain. Pass its pages in order to `receive`, then call `end`.

    Both yield faults, in order. Verification continues after a fault, so each one is reported once. Between two pages,
    entries may be written, and the oldest may be deleted by retention.

    `known` is a head that was stored elsewhere. The log must contain it, unless retention has deleted it.
    """

    def __init__(self, known: Head | None = None) -> None:
        self._known = known
        self._last: Head | None = None  # the last verified position, whose hash the next entry must follow
        self._head = START
        self._has_head = True
        self.first: int | None = None
        """The number of the first entry, None if there is none."""
        self.count = 0
        """The number of entries verified."""

    @property
    def last(self) -> Head:
        """The last verified position: at the end, the head to store elsewhere."""
        return self._last or START

    def receive(self, page: LogPage) -> Iterator[LogFault]:
        """Verify the next page."""
        self._head, self._has_head = page.head, page.has_head
        if self._last is None or page.anchor.number > self._last.number:
            self._last = page.anchor
            yield from self._compare(page.anchor)
        for entry in page.entries:
            self.first = self.first or entry.number
            self.count += 1
            wrong = list(self._check(entry, self._last))
            yield from wrong
            if not entry.indexed and not wrong:
                yield LogFault(entry.number, "it differs from the index of traces")
            self._last = Head(entry.number, entry.hash)
            yield from self._compare(self._last)

    def end(self) -> Iterator[LogFault]:
        """Verify that the chain ends at its head, and contains the known one."""
        last = self.last
        if not self._has_head and self.count:
            yield LogFault(last.number, "it is the last entry, and the head of the log is missing")
        elif last.number < self._head.number:
            yield LogFault(last.number + 1, f"{_entries(last.number + 1, self._head.number)} missing at the end")
        elif last.number > self._head.number:
            yield LogFault(self._head.number + 1, f"{_entries(self._head.number + 1, last.number)} added at the end")
        elif last.hash != self._head.hash:
            yield LogFault(last.number, "its hash differs from that of the log's head")
        if self._known is not None and self._known.number > max(last.number, self._head.number):
            yield LogFault(last.number + 1, f"the log ends before the known entry {self._known.number}")

    @staticmethod
    def _check(entry: LogEntry, last: Head) -> Iterator[LogFault]:
        if entry.number > last.number + 1:  # its hash cannot be verified without the preceding entry
            yield LogFault(last.number + 1, f"{_entries(last.number + 1, entry.number - 1)} missing")
        elif entry.number <= last.number:
            yield LogFault(entry.number, f"it follows the entry {last.number}")
        elif entry_hash(last.hash, entry.record) != entry.hash:
            yield LogFault(entry.number, "it was changed, or does not follow the preceding entry")

    def _compare(self, place: Head) -> Iterator[LogFault]:
        if self._known is not None and place.number == self._known.number and place.hash != self._known.hash:
            yield LogFault(place.number, "its hash differs from the known one")


def _entries(first: int, last: int) -> str:
    return f"the entry {first} is" if first == last else f"the entries {first} to {last} are"
