"""Whatever is done to entries of a log is found, at the first of them, and what stands after them is checked on."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hestiaos_local.governance import START, Head, LogEntry, LogFault, LogPage, LogVerifier, entry_hash

RECORDS = st.lists(st.binary(max_size=5), min_size=1, max_size=12)


def chain(records: list[bytes], start: Head = START) -> list[LogEntry]:
    entries: list[LogEntry] = []
    number, last = start.number, start.hash
    for record in records:
        number, last = number + 1, entry_hash(last, record)
        entries.append(LogEntry(number, record, last))
    return entries


def head_of(entries: list[LogEntry]) -> Head:
    return Head(entries[-1].number, entries[-1].hash) if entries else START


def faults(
    entries: list[LogEntry], head: Head, *, anchor: Head = START, known: Head | None = None, cuts: tuple[int, ...] = ()
) -> list[LogFault]:
    """What is wrong with these entries, given in pages that are cut at these places."""
    verifier = LogVerifier(() if known is None else (known,))
    found: list[LogFault] = []
    for start, stop in pairwise([0, *sorted(cuts), len(entries)]):
        found += verifier.receive(LogPage(anchor, head, tuple(entries[start:stop])))
    return found + list(verifier.end())


@given(RECORDS, st.lists(st.integers(0, 12), max_size=3), st.integers(0, 3))
def test_a_log_as_it_was_written_has_no_faults(records: list[bytes], cuts: list[int], pruned: int) -> None:
    entries = chain(records)
    anchor = head_of(entries[: pruned % len(entries)])
    places = tuple(min(cut, len(entries) - anchor.number) for cut in cuts)
    for known in (None, head_of(entries), head_of(entries[:1])):
        assert faults(entries[anchor.number :], head_of(entries), anchor=anchor, known=known, cuts=places) == []


@given(RECORDS, st.data())
def test_one_entry_that_was_changed(records: list[bytes], data: st.DataObject) -> None:
    entries = chain(records)
    place = data.draw(st.integers(0, len(entries) - 1))
    other = data.draw(st.binary(max_size=5))
    assume(other != records[place])
    head = head_of(entries)
    entries[place] = LogEntry(place + 1, other, entries[place].hash)
    assert [fault.number for fault in faults(entries, head)] == [place + 1]


@given(RECORDS, st.data())
def test_one_entry_that_was_changed_with_its_hash(records: list[bytes], data: st.DataObject) -> None:
    """The next one does not follow it, or, of the last one, the head."""
    entries = chain(records)
    place = data.draw(st.integers(0, len(entries) - 1))
    other = data.draw(st.binary(max_size=5))
    assume(other != records[place])
    head, last = head_of(entries), entries[place - 1].hash if place else START.hash
    entries[place] = LogEntry(place + 1, other, entry_hash(last, other))
    assert [fault.number for fault in faults(entries, head)] == [min(place + 2, len(entries))]


@given(RECORDS, st.data())
def test_entries_that_were_removed(records: list[bytes], data: st.DataObject) -> None:
    entries = chain(records)
    first = data.draw(st.integers(0, len(entries) - 1))
    after = data.draw(st.integers(first + 1, len(entries)))
    left = entries[:first] + entries[after:]
    [fault] = faults(left, head_of(entries))
    assert fault.number == first + 1


@given(RECORDS, st.binary(max_size=5), st.data())
def test_an_entry_that_was_inserted(records: list[bytes], record: bytes, data: st.DataObject) -> None:
    """Whoever gives it the right hash, and later ones another number, still changes what follows it."""
    entries = chain(records)
    place = data.draw(st.integers(0, len(entries)))
    last = entries[place - 1].hash if place else START.hash
    inserted = LogEntry(place + 1, record, entry_hash(last, record))
    moved = [LogEntry(entry.number + 1, entry.record, entry.hash) for entry in entries[place:]]
    found = [fault.number for fault in faults([*entries[:place], inserted, *moved], head_of(entries))]
    assert found
    assert found[0] in (place + 1, place + 2)


@given(st.lists(st.binary(max_size=5), min_size=2, max_size=12, unique=True), st.data())
def test_two_entries_that_were_swapped(records: list[bytes], data: st.DataObject) -> None:
    entries = chain(records)
    first = data.draw(st.integers(0, len(entries) - 2))
    second = data.draw(st.integers(first + 1, len(entries) - 1))
    head = head_of(entries)
    one, other = entries[first], entries[second]
    entries[first] = LogEntry(one.number, other.record, other.hash)
    entries[second] = LogEntry(other.number, one.record, one.hash)
    found = {fault.number for fault in faults(entries, head)}
    assert {first + 1, second + 1} <= found <= {first + 1, first + 2, second + 1, second + 2}


@given(RECORDS, st.data())
def test_a_log_written_anew_shows_against_a_head_kept_elsewhere(records: list[bytes], data: st.DataObject) -> None:
    entries = chain(records)
    place = data.draw(st.integers(0, len(entries) - 1))
    known = head_of(entries)
    other = chain([*records[:place], records[place] + b"x", *records[place + 1 :]])
    assert faults(other, head_of(other)) == []
    assert [fault.number for fault in faults(other, head_of(other), known=known)] == [known.number]
    cut = entries[:place]
    assert faults(cut, head_of(cut)) == []
    assert [fault.number for fault in faults(cut, head_of(cut), known=known)] == [place + 1]


def test_what_retention_has_deleted_cannot_be_compared_any_more() -> None:
    entries = chain([b"a", b"b", b"c"])
    anchor = head_of(entries[:2])
    assert faults(entries[2:], head_of(entries), anchor=anchor, known=Head(1, bytes(32))) == []
    [fault] = faults(entries[2:], head_of(entries), anchor=anchor, known=Head(2, bytes(32)))
    assert fault == LogFault(2, "its hash differs from the known one")


def test_retention_between_two_pages_is_not_a_fault() -> None:
    entries = chain([b"a", b"b", b"c", b"d", b"e"])
    head = head_of(entries)
    verifier = LogVerifier()
    assert list(verifier.receive(LogPage(START, head, tuple(entries[:2]), next=2))) == []
    assert list(verifier.receive(LogPage(head_of(entries[:4]), head, tuple(entries[4:])))) == []
    assert list(verifier.end()) == []
    assert (verifier.count, verifier.first, verifier.heads) == (3, 1, (head,))


@pytest.mark.parametrize("number", [1, 2])
def test_an_entry_that_stands_twice(number: int) -> None:
    entries = chain([b"a", b"b"])
    twice = [*entries, entries[number - 1]]
    assert faults(twice, head_of(entries))[0] == LogFault(number, "it follows the entry 2")


def test_a_head_as_text() -> None:
    assert str(Head(7, b"\x01\xff")) == "7:01ff"
