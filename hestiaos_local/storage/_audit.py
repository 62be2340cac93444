"""Verify and export the decision log of a storage, one page in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from hestiaos_local.governance import Head, LogEntry, LogFault, LogPage, LogVerifier
from hestiaos_local.storage._interface import Storage

__all__ = ["LogReport", "export_log", "read_log", "verify_log"]


@frozen
class LogReport:
    """The result of `verify_log`.

    `count` entries were checked, starting with number `first` (None if the log is empty). For each chain, `anchors` has
    the last entry that retention deleted and `heads` the last entry written. Heads stored elsewhere can be passed to a
    later `verify_log`, which then proves the whole log. `faults` has the first faults found, `more_faults` counts the
    others.
    """

    count: int
    first: int | None
    anchors: tuple[Head, ...]
    heads: tuple[Head, ...]
    faults: tuple[LogFault, ...] = ()
    more_faults: int = 0

    @property
    def ok(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    @property
    def anchor(self) -> Head:
        """The anchor of the first chain, which is the only chain of a log written by one process at a time."""
        return self.anchors[0]

    @property
    def head(self) -> Head:
        """The head of the first chain."""
        return self.heads[0]


def verify_log(storage: Storage, *, known: Head | Iterable[Head] | None = None, most_faults: int = 100) -> LogReport:
    """Verify the hash chains of the decision log, and that they still contain the `known` heads of an earlier report.

    The storage may be in use: entries written before the end is reached are verified too. The report lists at most
    `most_faults` faults.
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
    """Iterate over the entries of the decision log with a number above `after`, in order."""
    for page in _pages(storage, after):
        yield from page.entries


def export_log(storage: Storage, *, after: int = 0) -> Iterator[bytes]:
    """Iterate over the entries with a number above `after` as JSON lines: `number`, `previous`, `hash`, `record`.

    `hash` and `previous`, the hash of the preceding entry, are hexadecimal; `previous` is null if that entry is
    missing. What was hashed is `record` as compact JSON with its keys in this order, so the lines can be verified
    without this package.
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
    """Iterate over the pages of the log after an entry, at least one page for each chain."""
    following: int | None = after
    while following is not None:
        yield (page := storage.log(after=following))
        following = page.next
