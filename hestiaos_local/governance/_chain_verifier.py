"""Reads a hash chain again, and finds what was changed in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from hestiaos_local.governance._chain import START, Head, entry_hash

__all__ = ["ChainVerifier", "LogEntry", "LogFault", "LogPage"]


@frozen
class LogEntry:
    """One entry: its number, in the first chain from 1 on, its record as JSON, and its hash.

    `indexed` says whether what the storage finds it by agrees with it.
    """

    number: int
    record: bytes
    hash: bytes
    indexed: bool = True


@frozen
class LogPage:
    """Some entries of one chain in their order, as they were at one moment.

    `anchor` is the last entry of the `chain` that retention has deleted, `head` the last that was written, as noted
    beside the log, where it is `noted`. The next page, of this chain or of another, comes after the number `next`;
    `None` after the last.
    """

    anchor: Head
    head: Head
    entries: tuple[LogEntry, ...]
    next: int | None = None
    chain: int = 0
    noted: bool = True

    @property
    def more(self) -> bool:
        """Whether there is another page."""
        return self.next is not None


@frozen
class LogFault:
    """A fault of the log, at the entry of this `number`."""

    number: int
    what: str


class ChainVerifier:
    """Checks a chain: `receive` is given its pages in their order, `end` says that there are no more.

    Both give what is wrong, in order. After a fault the log is checked on, so that each place is reported once. Entries
    may be written, and the oldest deleted by retention, between two pages.

    `known` is a head that was kept elsewhere: the log has to hold it still, unless retention has deleted it.
    """

    def __init__(self, known: Head | None = None) -> None:
        self._known = known
        self._last: Head | None = None  # the hash of the last entry is what the next one has to follow
        self._head = START
        self._noted = True
        self.first: int | None = None
        """The number of the first entry; `None` where there is none."""
        self.count = 0
        """How many entries there were."""

    @property
    def last(self) -> Head:
        """The last place that was checked: what to keep elsewhere, once all is checked."""
        return self._last or START

    def receive(self, page: LogPage) -> Iterator[LogFault]:
        """Check the next page."""
        self._head, self._noted = page.head, page.noted
        if self._last is None or page.anchor.number > self._last.number:
            self._last = page.anchor
            yield from self._compare(page.anchor)
        for entry in page.entries:
            self.first = self.first or entry.number
            self.count += 1
            wrong = list(self._check(entry, self._last))
            yield from wrong
            if not entry.indexed and not wrong:
                yield LogFault(entry.number, "it is not what the index of traces says")
            self._last = Head(entry.number, entry.hash)
            yield from self._compare(self._last)

    def end(self) -> Iterator[LogFault]:
        """Check that the log ends where it should."""
        last = self.last
        if not self._noted and self.count:
            yield LogFault(last.number, "it is the last, and the end of the log is not noted")
        elif last.number < self._head.number:
            yield LogFault(last.number + 1, f"{_entries(last.number + 1, self._head.number)} missing at the end")
        elif last.number > self._head.number:
            yield LogFault(self._head.number + 1, f"{_entries(self._head.number + 1, last.number)} added at the end")
        elif last.hash != self._head.hash:
            yield LogFault(last.number, "the hash noted for the end of the log is another one")
        if self._known is not None and self._known.number > max(last.number, self._head.number):
            yield LogFault(last.number + 1, f"the log ends before the entry {self._known.number}, which was known")

    @staticmethod
    def _check(entry: LogEntry, last: Head) -> Iterator[LogFault]:
        if entry.number > last.number + 1:  # what it followed is not known
            yield LogFault(last.number + 1, f"{_entries(last.number + 1, entry.number - 1)} missing")
        elif entry.number <= last.number:
            yield LogFault(entry.number, f"it follows the entry {last.number}")
        elif entry_hash(last.hash, entry.record) != entry.hash:
            yield LogFault(entry.number, "it was changed, or does not follow the entry before it")

    def _compare(self, place: Head) -> Iterator[LogFault]:
        if self._known is not None and place.number == self._known.number and place.hash != self._known.hash:
            yield LogFault(place.number, "its hash is not the one that was known")


def _entries(first: int, last: int) -> str:
    return f"the entry {first} is" if first == last else f"the entries {first} to {last} are"
