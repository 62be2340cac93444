"""The decision log of a storage, read in pages, so that a page of it is in memory, whatever its length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from hestiaos_local.governance import Head, LogEntry, LogFault, LogPage, LogVerifier
from hestiaos_local.storage._interface import Storage

__all__ = ["LogReport", "export_log", "read_log", "verify_log"]


@frozen
class LogReport:
    """What `verify_log` found.

    `count` entries were checked, from the number `first` on, `None` where there are none. `anchors` are of each chain
    the last entry that retention has deleted, `heads` the last of all: kept elsewhere, they can be given to
    `verify_log` later, and prove the whole log. `faults` are the first hundred things that are wrong, `more_faults` how
    many more there are.
    """

    count: int
    first: int | None
    anchors: tuple[Head, ...]
    heads: tuple[Head, ...]
    faults: tuple[LogFault, ...] = ()
    more_faults: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    @property
    def anchor(self) -> Head:
        """That of the first chain, the only one of a log that one process at a time writes."""
        return self.anchors[0]

    @property
    def head(self) -> Head:
        """That of the first chain."""
        return self.heads[0]


def verify_log(storage: Storage, *, known: Head | Iterable[Head] | None = None, most_faults: int = 100) -> LogReport:
    """Check the hash chains of the decision log. `known` are heads of an earlier report, which it has to hold still.

    The storage may be used meanwhile: entries that are written until the end is reached are checked too.
    """
    verifier = LogVerifier((known,) if isinstance(known, Head) else known or ())
    faults: list[LogFault] = []
    count = 0
    for page in _pages(storage, 0):
        for fault in verifier.receive(page):
            count += 1
            if count <= most_faults:
                faults.append(fault)
    for fault in verifier.end():
        count += 1
        if count <= most_faults:
            faults.append(fault)
    more = max(0, count - most_faults)
    return LogReport(verifier.count, verifier.first, verifier.anchors, verifier.heads, tuple(faults), more)


def read_log(storage: Storage, *, after: int = 0) -> Iterator[LogEntry]:
    """The entries of the decision log in their order, those after the number `after`."""
    for page in _pages(storage, after):
        yield from page.entries


def export_log(storage: Storage, *, after: int = 0) -> Iterator[bytes]:
    """The entries after the number `after` as lines of JSON: `number`, `previous`, `hash`, `record` as it is stored.

    `previous` is the hash before it in hexadecimal, `null` where that entry is missing. Whoever writes `record` as
    compact JSON, its keys in their order, can check the lines without this package.
    """
    last: Head | None = None
    for page in _pages(storage, max(0, after - 1)):
        if last is None or page.anchor.number > last.number:
            last = page.anchor
        for entry in page.entries:
            if entry.number > after:
                previous = f'"{last.hash.hex()}"' if entry.number == last.number + 1 else "null"
                place = f'{{"number":{entry.number},"previous":{previous},"hash":"{entry.hash.hex()}","record":'
                yield place.encode() + entry.record + b"}\n"
            last = Head(entry.number, entry.hash)


def _pages(storage: Storage, after: int) -> Iterator[LogPage]:
    """The pages of the log from an entry on: one at least for each chain."""
    following: int | None = after
    while following is not None:
        yield (page := storage.log(after=following))
        following = page.next
