"""What a call costs does not grow with the number of traces, in a file or in PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest

from hestiaos_local.governance import Charge, Limit
from hestiaos_local.storage import Outcome, Store
from tests.support.postgres import PostgresServer, server_or_skip
from tests.support.storages import trace

psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.timing

FEW, MANY = 10_000, 10_000_000
CALLS = 300
GROWS = 1.3

RECORD = (
    """'{"phase":"decided","trace_id":"old ' || n || '","decision":"ALLOW","decided_at":1.0,"facts":{"text":"x"}}'"""
)
FILL_POSTGRESQL = f"""
INSERT INTO log (number, decided_at, size, hash, record)
    SELECT n, 1.0, length({RECORD}), sha256('x'), {RECORD} FROM generate_series(%s::bigint, %s) AS n;
INSERT INTO traces (number, trace_id, decision)
    SELECT n, 'old ' || n, 'ALLOW' FROM generate_series(%s::bigint, %s) AS n;
UPDATE chain SET number = %s WHERE name = 'head';
"""
FILL_SQLITE = f"""
WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
INSERT INTO log (number, decided_at, size, hash, record)
    SELECT n, 1.0, length({RECORD}), zeroblob(32), {RECORD} FROM numbers;
WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
INSERT INTO traces (number, trace_id, decision) SELECT n, 'old ' || n, 'ALLOW' FROM numbers;
UPDATE chain SET number = :last WHERE name = 'head';
"""


def cost(store: Store, names: count[int]) -> float:
    """The median seconds of what an execution has stored, and of what a page of traces takes."""
    limit = Limit(name="all", per="all", window=60.0, requests=10**9)
    charge = Charge(name="all", per="all", subject="", limit=limit)
    seconds = []
    for _ in range(CALLS):
        name = f"new {next(names)}"
        begun = perf_counter()
        store.reserve([charge], now=1.0)
        store.add_trace(trace(name))
        store.finish_trace(name, Outcome("completed"))
        store.trace(name)
        store.traces(limit=10)
        store.decisions(newest=100)
        store.log(after=1, limit=10)
        seconds.append(perf_counter() - begun)
    return median(seconds)


def grown(store: Store, fill: Callable[[int, int], None]) -> float:
    """How many times what a call costs with few traces it costs with many."""
    names = count()
    fill(1, FEW)
    few = cost(store, names)
    fill(FEW + 2 * CALLS + 1, MANY)
    many = cost(store, names)
    print(f"{few * 1e3:.2f} ms, {many * 1e3:.2f} ms")
    return many / few


@pytest.mark.timeout(3600)
def test_a_database_of_ten_million_traces() -> None:
    server_or_skip()
    server = PostgresServer("fsync=off", "max_wal_size=4GB")
    try:
        server.start()

        def fill(first: int, last: int) -> None:
            with psycopg.connect(server.url(), options="-csearch_path=hestiaos", autocommit=True) as db:
                for statement in FILL_POSTGRESQL.split(";")[:-1]:
                    db.execute(statement, ((first, last) if "series" in statement else (last,)))
                db.execute("VACUUM ANALYZE")

        with closing(Store(server.url())) as store:
            assert grown(store, fill) < GROWS
    finally:
        server.remove()


@pytest.mark.timeout(3600)
def test_a_file_of_ten_million_traces(tmp_path: Path) -> None:
    file = tmp_path / "store.db"

    def fill(first: int, last: int) -> None:
        with closing(sqlite3.connect(file)) as db:
            for statement in FILL_SQLITE.split(";")[:-1]:
                db.execute(statement, {"first": first, "last": last})
            db.commit()

    with closing(Store(file)) as store:
        assert grown(store, fill) < GROWS
