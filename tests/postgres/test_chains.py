"""The decision log of several workers: a chain for each, and one proof over all of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import pairwise
from threading import Barrier

import pytest
from attrs import evolve

from hestiaos_local.governance import CHAIN_SIZE, Head
from hestiaos_local.storage import Outcome, Retention, Store, export_log, verify_log
from tests.support.storages import python, trace

psycopg = pytest.importorskip("psycopg")

WORKERS = 3
EACH = 20


@pytest.fixture
def workers(url: str) -> Iterator[list[Store]]:
    """Stores that write at the same time: to each its chain."""
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(Store(url))) for _ in range(WORKERS)]
        write(stores)
        yield stores


def write(stores: list[Store], prefix: str = "t") -> None:
    """Have each store write decisions and outcomes while the others do."""
    start = Barrier(len(stores))

    def work(number: int) -> None:
        start.wait(60)
        for each in range(EACH):
            stores[number].add_trace(trace(f"{prefix}{number}.{each}", decided_at=float(each)))
            stores[number].finish_trace(f"{prefix}{number}.{each}", Outcome("completed"))

    with ThreadPoolExecutor(len(stores)) as pool:
        list(pool.map(work, range(len(stores))))


def change(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-csearch_path=hestiaos") as connection:
        for statement in statements:
            connection.execute(statement.encode())


def faults(store: Store, known: tuple[Head, ...] = ()) -> list[tuple[int, str]]:
    return [(fault.number, fault.what) for fault in verify_log(store, known=known).faults]


def test_every_chain_is_proven(workers: list[Store]) -> None:
    report = verify_log(workers[0])
    assert (report.ok, report.count) == (True, 2 * WORKERS * EACH)
    assert 1 <= len(report.heads) <= WORKERS
    assert [head.number // CHAIN_SIZE for head in report.heads] == list(range(len(report.heads)))
    assert verify_log(workers[1], known=report.heads).ok
    assert workers[0].decisions() == {"ALLOW": WORKERS * EACH}
    assert len(workers[0].traces(limit=1000)) == WORKERS * EACH


def test_a_chain_that_nobody_writes_is_taken_over(url: str) -> None:
    for number in range(4):
        with closing(Store(url)) as store:
            store.add_trace(trace(str(number)))
            assert len(verify_log(store).heads) == 1


def test_a_chain_of_its_own_while_another_is_written(url: str) -> None:
    with closing(Store(url)) as store, psycopg.connect(url, options="-csearch_path=hestiaos") as other:
        store.add_trace(trace("a"))
        other.execute("SELECT * FROM chain WHERE chain = 0 FOR UPDATE")
        store.add_trace(trace("b"))
        store.finish_trace("a", Outcome("completed"))
        assert store.finish_trace("nothing", Outcome("completed")) is False
        other.rollback()
        store.add_trace(trace("c"))
        report = verify_log(store)
        assert ([head.number for head in report.heads], report.ok) == ([1, CHAIN_SIZE + 3], True)
        assert [each.trace_id for each in store.traces()] == ["c", "b", "a"]


def test_the_lines_of_an_export_prove_themselves(workers: list[Store]) -> None:
    lines = [json.loads(line) for line in export_log(workers[0])]
    assert len(lines) == 2 * WORKERS * EACH
    for before, line in pairwise(lines):
        follows = line["number"] == before["number"] + 1
        assert line["previous"] == (before["hash"] if follows else "00" * 32)
    middle = lines[len(lines) // 2]["number"]
    rest = [json.loads(line) for line in export_log(workers[0], after=middle)]
    assert rest == [line for line in lines if line["number"] > middle]


def test_retention_leaves_every_chain_provable(workers: list[Store]) -> None:
    known = verify_log(workers[0]).heads
    assert workers[0].prune(Retention(max_count=30), now=0.0) == WORKERS * EACH - 30
    assert verify_log(workers[0], known=known).ok
    write(workers, "later ")
    assert workers[1].prune(Retention(max_count=5), now=0.0) == 30 + WORKERS * EACH - 5
    report = verify_log(workers[2], known=known)
    assert (report.ok, len(workers[0].traces())) == (True, 5)
    workers[1].prune(Retention(max_count=0), now=0.0)
    assert verify_log(workers[2], known=report.heads).ok


def test_what_was_done_to_a_chain_is_found(url: str) -> None:
    chained(url)
    other = CHAIN_SIZE
    with closing(Store(url)) as store:
        known = verify_log(store).heads
        changed = "it was changed, or does not follow the preceding entry"
        for statement, number, what in [
            ("UPDATE log SET record = replace(record, 'ALLOW', 'BLOCK')", 2, changed),
            ("DELETE FROM log", 2, f"the entry {other + 2} is missing"),
            ("UPDATE log SET size = size + 1", 2, "it differs from the index of traces"),
            ("UPDATE log SET record = 'not JSON'", 2, changed),
        ]:
            with psycopg.connect(url, autocommit=True, options="-csearch_path=hestiaos") as connection:
                connection.execute("CREATE TABLE kept_log AS SELECT * FROM log")
                connection.execute(f"{statement} WHERE number = {other + 2}".encode())
                assert faults(store)[0] == (other + number, what)
                connection.execute("DELETE FROM log")
                connection.execute("INSERT INTO log SELECT * FROM kept_log")
                connection.execute("DROP TABLE kept_log")
        assert verify_log(store, known=known).ok


def test_a_chain_that_is_missing(url: str) -> None:
    chained(url)
    with closing(Store(url)) as store:
        known = verify_log(store).heads
        change(url, f"DELETE FROM chain WHERE chain = 1; DELETE FROM log WHERE number / {CHAIN_SIZE} = 1")
        missing = (CHAIN_SIZE + 1, "the chain 1 is missing")
        assert missing in faults(store)
        change(url, f"DELETE FROM chain WHERE chain = 2; DELETE FROM log WHERE number / {CHAIN_SIZE} = 2")
        assert faults(store) == []
        assert [number // CHAIN_SIZE for number, _ in faults(store, known)] == [1, 2]
        assert faults(store, known)[0][1] == f"the chain 1 is missing, which had the known entry {known[1].number}"


def test_a_chain_that_was_cut_shows_against_its_head(url: str) -> None:
    chained(url)
    with closing(Store(url)) as store:
        known = verify_log(store).heads
        wrong = (known[0], evolve(known[1], hash=bytes(32)), known[2])
        assert faults(store, wrong) == [(known[1].number, "its hash differs from the known one")]


def chained(url: str) -> None:
    """Three chains of three entries, whoever is fast."""
    with closing(Store(url)) as store, psycopg.connect(url, options="-csearch_path=hestiaos") as other:
        for chain in range(3):
            for number in range(3):
                store.add_trace(trace(f"{chain}.{number}"))
            other.execute("SELECT * FROM chain FOR UPDATE")


def test_processes_write_chains(url: str) -> None:
    code = (
        "import sys; from hestiaos_local.storage import *\n"
        "store = Store(sys.argv[1], busy_timeout=30.0)\n"
        "for n in range(20):\n"
        "    store.add_trace(TraceRecord(f'{sys.argv[2]}.{n}', 'ALLOW', 0.0, {}))\n"
        "    store.finish_trace(f'{sys.argv[2]}.{n}', Outcome('completed'))\n"
        "store.close()"
    )
    processes = [python(code, url, number) for number in range(4)]
    assert [(process.communicate()[0], process.returncode) for process in processes] == [("", 0)] * 4
    with closing(Store(url)) as store:
        report = verify_log(store)
        assert (report.ok, report.count) == (True, 160)
        assert len(report.heads) <= 4
