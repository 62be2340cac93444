"""A decision log of a million records is checked and exported within a minute each, and little of it is in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.broad import BROAD
from tests.support.storages import python

pytestmark = BROAD

WRITE = """
import sys
from hestiaos_local.storage import Outcome, TraceRecord
from hestiaos_local.storage._log import append_decided, append_finished, decided_record, finished_record, read_head
from hestiaos_local.storage._sqlite import SQLiteDatabase

facts = {"trace": {"violations": [], "reason": "no rule matches"}, "command": {"texts": ["create a report " * 4]}}
outcome = Outcome("completed", 2.0, 1, 2, "x" * 60)
database = SQLiteDatabase(sys.argv[1], 5.0)
for batch in range(int(sys.argv[2]) // 10_000):
    with database.write(durable=False, appends=True) as db:
        head = read_head(database, db)
        for number in range(5000):
            trace = TraceRecord(f"{batch}.{number}", "ALLOW", float(batch), facts)
            head, decided = append_decided(head, trace, decided_record(trace))
            head, finished = append_finished(head, trace.trace_id, finished_record(trace.trace_id, outcome))
            for statement in decided + finished:
                db.execute(*statement)
database.close()
"""

READ = """
import json, sys, time
from hestiaos_local.storage import Store, export_log, verify_log
from tests.support.measures import peak

store = Store(sys.argv[1])
before, started = peak(), time.process_time()
report = verify_log(store)
verified = time.process_time() - started
lines = sum(1 for _ in export_log(store))
print(json.dumps({
    "ok": report.ok, "count": report.count, "lines": lines, "grown": (peak() - before) / 1024**2,
    "verified": verified, "exported": time.process_time() - started - verified,
}))
"""


def read(file: Path, count: int) -> dict[str, float]:
    """What it takes to verify and export a log of so many records: seconds of CPU, MiB of memory."""
    for code, arguments in ((WRITE, (file, count)), (READ, (file,))):
        process = python(code, *arguments)
        told, _ = process.communicate()
        assert process.returncode == 0, told
    read: dict[str, float] = json.loads(told)
    assert (read["ok"], read["count"], read["lines"]) == (True, count, count)
    return read


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    assert read(tmp_path / "store.db", 20_000)["grown"] < 10


@pytest.mark.timing
@pytest.mark.timeout(600)
def test_a_million_records(tmp_path: Path) -> None:
    told = read(tmp_path / "store.db", 1_000_000)
    assert told["grown"] < 10
    assert told["verified"] < 60
    assert told["exported"] < 60
