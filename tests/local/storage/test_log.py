"""The decision log: one chain of all that was decided and of how it ended, whatever is written and deleted."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from attrs import evolve

from hestiaos_local.governance import START, Head
from hestiaos_local.storage import Outcome, Retention, Storage, Store, StoreError, export_log, read_log, verify_log
from tests.support.broad import BROAD
from tests.support.storages import python, trace


def fill(storage: Storage, count: int = 5) -> None:
    """Of each trace, a second apart, the decision; its outcome comes after the next decision."""
    for number in range(count):
        storage.add_trace(trace(f"t{number}", decided_at=100.0 + number, text="é"))
        if number:
            storage.finish_trace(f"t{number - 1}", Outcome("completed", output="x" * number))


def faults(storage: Storage, known: Head | None = None) -> list[tuple[int, str]]:
    return [(fault.number, fault.what) for fault in verify_log(storage, known=known).faults]


def test_an_empty_log(storage: Storage) -> None:
    report = verify_log(storage)
    assert (report.ok, report.count, report.first, report.anchor, report.head) == (True, 0, None, START, START)
    assert list(export_log(storage)) == []


def test_a_log_of_decisions_and_outcomes(storage: Storage) -> None:
    fill(storage)
    report = verify_log(storage)
    assert (report.ok, report.count, report.first, report.head.number) == (True, 9, 1, 9)
    records = [json.loads(entry.record) for entry in read_log(storage)]
    assert [(record["phase"], record["trace_id"]) for record in records[:4]] == [
        ("decided", "t0"),
        ("decided", "t1"),
        ("finished", "t0"),
        ("decided", "t2"),
    ]
    assert records[0] == {
        "phase": "decided",
        "trace_id": "t0",
        "decision": "ALLOW",
        "decided_at": 100.0,
        "facts": {"text": "é"},
    }
    assert records[2]["outcome"] == {"status": "completed", "milliseconds": 0.0, "output": "x"}


def test_a_blocked_trace_is_finished_at_once(storage: Storage) -> None:
    storage.add_trace(evolve(trace("a", "BLOCK"), outcome=Outcome("blocked")))
    assert [json.loads(entry.record)["phase"] for entry in read_log(storage)] == ["decided", "finished"]
    assert storage.finish_trace("a", Outcome("completed")) is False


def test_the_lines_of_an_export_prove_themselves(storage: Storage) -> None:
    fill(storage)
    lines = list(export_log(storage))
    assert len(lines) == 9
    last = "00" * 32
    for number, line in enumerate(lines, 1):
        assert line.endswith(b"}\n")
        entry = json.loads(line)
        record = json.dumps(entry["record"], separators=(",", ":"), ensure_ascii=False)
        assert (entry["number"], entry["previous"]) == (number, last)
        assert entry["hash"] == sha256(bytes.fromhex(last) + record.encode()).hexdigest()
        last = entry["hash"]
    assert [list(export_log(storage, after=after)) for after in (0, 3, 9, 100)] == [lines, lines[3:], [], []]


@pytest.mark.parametrize(
    ("retention", "traces", "first"),
    [
        (Retention(max_count=4), "1234", 2),
        (Retention(max_age=2.0), "34", 6),
        (Retention(max_count=1), "4", 8),
        (Retention(max_count=0), "", None),
        (Retention(max_bytes=0), "", None),
    ],
)
def test_what_is_left_after_retention_is_provable(
    storage: Storage, retention: Retention, traces: str, first: int | None
) -> None:
    """An outcome without its decision is left where it stands between entries that are kept."""
    fill(storage)
    head = verify_log(storage).head
    assert storage.prune(retention, now=105.0) == 5 - len(traces)
    report = verify_log(storage, known=head)
    assert (report.ok, report.first, report.head) == (True, first, head)
    assert report.anchor.number == (first or 10) - 1
    assert [each.trace_id for each in reversed(storage.traces())] == [f"t{number}" for number in traces]
    storage.add_trace(trace("next"))
    assert storage.finish_trace("t0", Outcome("completed")) is False
    report = verify_log(storage, known=head)
    assert (report.ok, report.head.number) == (True, 10)
    assert [json.loads(line)["previous"] is not None for line in export_log(storage)] == [True] * report.count


def test_threads_write_one_chain_of_several_pages(storage: Storage) -> None:
    def work(number: int) -> None:
        storage.add_trace(trace(f"t{number}"))
        storage.finish_trace(f"t{number}", Outcome("completed"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(600)))
    report = verify_log(storage)
    assert (report.ok, report.count) == (True, 1200)
    assert sum(1 for _ in export_log(storage)) == 1200
    storage.prune(Retention(max_count=10), now=0.0)
    assert verify_log(storage).ok


def test_what_is_written_and_deleted_meanwhile_is_no_fault(storage: Storage) -> None:
    fill(storage)
    export = export_log(storage)
    first = json.loads(next(export))
    storage.prune(Retention(max_count=1), now=0.0)
    storage.add_trace(trace("next"))
    assert first["number"] == 1
    assert [json.loads(line)["number"] for line in export] == [2, 3, 4, 5, 6, 7, 8, 9]  # the page that was read
    assert faults(storage) == []


@BROAD
def test_processes_write_one_chain(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    code = (
        "import sys; from hestiaos_local.storage import *\n"
        "store = Store(sys.argv[1], busy_timeout=30.0)\n"
        "for n in range(20):\n"
        "    store.add_trace(TraceRecord(f'{sys.argv[2]}.{n}', 'ALLOW', 0.0, {}))\n"
        "    store.finish_trace(f'{sys.argv[2]}.{n}', Outcome('completed'))\n"
    )
    processes = [python(code, file, number) for number in range(4)]
    assert [(process.communicate()[0], process.returncode) for process in processes] == [("", 0)] * 4
    with closing(Store(file)) as store:
        report = verify_log(store)
        assert (report.ok, report.count) == (True, 160)


CHANGED = "it was changed, or does not follow the preceding entry"
INDEX = "it differs from the index of traces"
MOVE = "UPDATE log SET number = -number WHERE number > {0}; UPDATE log SET number = {1} - number WHERE number < 0"


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        ("UPDATE log SET record = replace(record, 'ALLOW', 'BLOCK') WHERE number = 4", [(4, CHANGED)]),
        ("UPDATE log SET hash = zeroblob(32) WHERE number = 4", [(4, CHANGED), (5, CHANGED)]),
        ("UPDATE log SET record = x'ff', hash = 'text' WHERE number = 4", [(4, CHANGED), (5, CHANGED)]),
        ("DELETE FROM log WHERE number = 4", [(4, "the entry 4 is missing")]),
        ("DELETE FROM log WHERE number < 3", [(1, "the entries 1 to 2 are missing")]),
        ("DELETE FROM log WHERE number > 7", [(8, "the entries 8 to 9 are missing at the end")]),
        ("DELETE FROM log", [(1, "the entries 1 to 9 are missing at the end")]),
        (
            f"DELETE FROM log WHERE number = 4; {MOVE.format(4, -1)}",
            [(4, CHANGED), (9, "the entry 9 is missing at the end")],
        ),
        (
            f"{MOVE.format(3, 1)}; INSERT INTO log SELECT 4, 0, 2, zeroblob(32), '{{}}'",
            [(4, CHANGED), (5, CHANGED), (10, "the entry 10 is added at the end")],
        ),
        (
            "INSERT INTO log SELECT 10, 0, 2, zeroblob(32), '{}'",
            [(10, CHANGED), (10, "the entry 10 is added at the end")],
        ),
        (
            "UPDATE log SET number = -number WHERE number IN (4, 7);"
            "UPDATE log SET number = 11 + number WHERE number < 0",
            [(4, CHANGED), (5, CHANGED), (7, CHANGED), (8, CHANGED)],
        ),
        ("DELETE FROM chain", [(9, "it is the last entry, and the head of the log is missing")]),
        (
            "INSERT INTO chain VALUES (3, 'head', 3000000000000, zeroblob(32))",
            [(1000000000001, "the chains 1 to 2 are missing")],
        ),
        (
            "INSERT INTO log SELECT 9000000000000000000, 0, 2, zeroblob(32), '{}'",
            [
                (1000000000001, "the chains 1 to 8999999 are missing"),
                (9000000000000000001, "the chain 9000000 is missing"),
            ],
        ),
        ("UPDATE chain SET number = 3 WHERE name = 'anchor'", [(1, "it follows the entry 3")]),
        (
            "UPDATE chain SET hash = zeroblob(32) WHERE name = 'head'",
            [(9, "its hash differs from that of the log's head")],
        ),
    ],
)
def test_what_was_done_to_a_log_is_found_in_its_place(
    tmp_path: Path, statements: str, found: list[tuple[int, str]]
) -> None:
    file = tmp_path / "store.db"
    with closing(Store(file)) as store:
        fill(store)
        assert faults(store) == []
        with closing(sqlite3.connect(file)) as db:
            db.executescript(statements)
        assert [fault for fault in faults(store) if fault[1] != INDEX] == found


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DELETE FROM chain", "its head is missing"),
        ("UPDATE chain SET chain = 'x'", "its head is missing"),
        ("UPDATE chain SET number = 'x'", "the number of its head is invalid"),
        ("UPDATE chain SET number = -9", "the number of its head is invalid"),
        ("UPDATE chain SET number = 9223372036854775807", "the number of its head is invalid"),
        ("UPDATE chain SET hash = 'text'", "the hash of its head is invalid"),
        ("UPDATE chain SET hash = zeroblob(3)", "the hash of its head is invalid"),
        ("UPDATE chain SET number = 2", "there is an entry after its head, 2"),
    ],
)
def test_nothing_is_written_after_an_end_that_is_damaged(tmp_path: Path, statement: str, why: str) -> None:
    file = tmp_path / "store.db"
    with closing(Store(file)) as store:
        fill(store)
        assert store.works()
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(statement)
        for write in (lambda: store.add_trace(trace("new")), lambda: store.finish_trace("t4", Outcome("completed"))):
            with pytest.raises(StoreError) as caught:
                write()
            assert caught.value.problem == "damaged"
            assert str(caught.value).startswith(f"the decision log is damaged ({why}): 'hestiaos audit verify' shows")
        assert not verify_log(store).ok
        assert (len(list(read_log(store))), store.trace("new")) == (9, None)
        if "number = 2" not in statement:  # that shows only when an entry is to be written
            assert not store.works()


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("DELETE FROM traces WHERE trace_id = 't1'", 2),
        ("UPDATE traces SET trace_id = 'x' WHERE trace_id = 't1'", 2),
        ("UPDATE traces SET decision = 'BLOCK' WHERE trace_id = 't1'", 2),
        ("UPDATE traces SET finished = NULL WHERE trace_id = 't1'", 5),
        ("UPDATE traces SET finished = 3 WHERE trace_id = 't1'", 5),
        ("UPDATE log SET decided_at = NULL WHERE number = 2", 2),
        ("UPDATE log SET decided_at = decided_at + 1 WHERE number = 2", 2),
        ("UPDATE log SET size = size + 1 WHERE number = 5", 5),
        ("INSERT INTO traces VALUES (3, 'new', 'ALLOW', NULL)", 3),
    ],
)
def test_what_was_done_to_the_index_of_traces_is_found(tmp_path: Path, statement: str, number: int) -> None:
    file = tmp_path / "store.db"
    with closing(Store(file)) as store:
        fill(store)
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(statement)
        assert faults(store) == [(number, INDEX)]


def test_each_changed_byte_of_a_record_is_found(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with closing(Store(file)) as store, closing(sqlite3.connect(file, isolation_level=None)) as db:
        fill(store, 2)
        for number, record in db.execute("SELECT number, record FROM log").fetchall():
            for place in range(len(record)):
                changed = record[:place] + chr(ord(record[place]) ^ 1) + record[place + 1 :]
                db.execute("UPDATE log SET record = ? WHERE number = ?", (changed, number))
                assert faults(store) == [(number, CHANGED)]
            db.execute("UPDATE log SET record = ? WHERE number = ?", (record, number))
        assert faults(store) == []


def test_a_record_that_was_made_a_blob_is_read_all_the_same(tmp_path: Path) -> None:
    """Its bytes are what the chain has."""
    file = tmp_path / "store.db"
    with closing(Store(file)) as store, closing(sqlite3.connect(file, isolation_level=None)) as db:
        fill(store, 2)
        before = store.traces()
        db.execute("UPDATE log SET record = CAST(record AS BLOB)")
        assert (store.traces(), faults(store)) == (before, [])


@pytest.mark.parametrize("record", ["not JSON", "[]", '{"phase":"decided"}', b"\xff"])
def test_a_record_that_cannot_be_read(tmp_path: Path, record: str | bytes) -> None:
    file = tmp_path / "store.db"
    with closing(Store(file)) as store, closing(sqlite3.connect(file, isolation_level=None)) as db:
        fill(store, 2)
        db.execute("UPDATE log SET record = ? WHERE number = 1", (record,))
        with pytest.raises(StoreError, match=r"is damaged .*: verify the log") as caught:
            store.trace("t0")
        assert caught.value.problem == "damaged"
        assert faults(store) == [(1, CHANGED)]


def test_a_cut_tail_with_its_head_shows_against_a_head_kept_elsewhere(tmp_path: Path) -> None:
    """Whoever can write the file can write the end of the log anew; what was noted elsewhere tells."""
    file = tmp_path / "store.db"
    with closing(Store(file)) as store:
        fill(store)
        known = verify_log(store).head
        with closing(sqlite3.connect(file)) as db:
            db.executescript(
                "DELETE FROM log WHERE number > 7; DELETE FROM traces WHERE number > 7;"
                "UPDATE chain SET (number, hash) = (SELECT number, hash FROM log WHERE number = 7) WHERE name = 'head'"
            )
        assert faults(store) == []
        assert faults(store, known) == [(8, "the log ends before the known entry 9")]
        for number in range(3):
            store.add_trace(trace(f"new {number}"))
        assert faults(store) == []
        assert faults(store, known) == [(9, "its hash differs from the known one")]


def test_faults_beyond_the_first_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with closing(Store(file)) as store:
        fill(store)
        with closing(sqlite3.connect(file)) as db:
            db.executescript("UPDATE log SET record = '{}'")
        report = verify_log(store, most_faults=2)
        assert (len(report.faults), report.more_faults, report.ok) == (2, 7, False)


def test_a_page_ends_where_it_has_enough(storage: Storage) -> None:
    for number, size in enumerate([700_000, 700_000, 10, 10]):
        storage.add_trace(trace(f"t{number}", text="x" * size))
    pages = [storage.log(after=after) for after in (0, 2, 4)]
    assert [([entry.number for entry in page.entries], page.more) for page in pages] == [
        ([1, 2], True),
        ([3, 4], False),
        ([], False),
    ]
    page = storage.log(after=1, limit=2)
    assert ([entry.number for entry in page.entries], page.more, page.head.number) == ([2, 3], True, 4)
    assert storage.log(after=2, limit=2).more is False
    assert verify_log(storage).count == 4
    assert len(list(read_log(storage))) == 4
