"""A file of an older version becomes one of this, with all that is in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hestiaos_local import Platform
from hestiaos_local.storage import (
    Finished,
    InProgress,
    Outcome,
    Retention,
    Session,
    Store,
    TraceRecord,
    verify_log,
)
from hestiaos_proto import ServerRequest
from tests.support.broad import BROAD
from tests.support.storages import python

# What version 1 wrote: a run, a blocked one, one without a time.
VERSION_1 = """
CREATE TABLE traces (
    number INTEGER PRIMARY KEY, trace_id TEXT NOT NULL UNIQUE, decision TEXT NOT NULL,
    trace TEXT NOT NULL, command TEXT NOT NULL);
CREATE INDEX traces_by_decision ON traces (decision);
CREATE TABLE sessions (session_id TEXT PRIMARY KEY, last_used REAL NOT NULL);
CREATE INDEX sessions_by_use ON sessions (last_used);
CREATE TABLE messages (
    number INTEGER PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions, role TEXT NOT NULL,
    text TEXT NOT NULL);
CREATE INDEX messages_by_session ON messages (session_id);
CREATE TABLE secrets (key TEXT PRIMARY KEY, value TEXT NOT NULL, provider TEXT NOT NULL);
CREATE TABLE results (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL,
    result TEXT NOT NULL);
PRAGMA application_id = 0x48657374;
PRAGMA user_version = 1;

INSERT INTO traces VALUES
    (1, 'a', 'ALLOW', '{"trace_id":"a","decision":"ALLOW","violations":[],"latency_ms":1.5,"reason":null,
"risk_score":0.0,"policy":"default","mode":"ALLOW","budget":1.0,"timestamp":"2026-11-27T02:33:48.250+00:00"}',
     '{"command_id":"a","command_type":"RUN","input":"é x"}'),
    (2, 'b', 'BLOCK', '{"trace_id":"b","decision":"BLOCK","violations":[{"rule":"r"}],"latency_ms":1.5,
"timestamp":"2026-11-27T02:33:49.000+00:00"}', '{"command_type":"RUN"}'),
    (3, 'c', 'ALLOW', '{"trace_id":"c","decision":"ALLOW","violations":[],"latency_ms":1.5,"timestamp":null}', '{}');
INSERT INTO sessions VALUES ('s', 100.0), ('t', 200.0), ('empty', 300.0);
INSERT INTO messages VALUES (1, 's', 'user', 'é'), (2, 't', 'user', 'x'), (3, 's', 'assistant', 'y');
INSERT INTO secrets VALUES ('k', 'value', 'vault'), ('n', 'v' || char(0) || 'w', 'custom');
INSERT INTO results VALUES (7, 'key', 'a hash', '{"result":{"n":1}}');
"""

# What version 2 wrote: a run, a blocked one, one that was never finished.
VERSION_2 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE kept (kind TEXT PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE decisions (decision TEXT PRIMARY KEY, taken INTEGER NOT NULL);
CREATE TABLE traces (
    number INTEGER PRIMARY KEY, trace_id TEXT NOT NULL UNIQUE, decision TEXT NOT NULL, decided_at REAL NOT NULL,
    size INTEGER NOT NULL, facts TEXT NOT NULL, outcome TEXT);
CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, last_used REAL NOT NULL, messages INTEGER NOT NULL, size INTEGER NOT NULL);
CREATE INDEX sessions_by_use ON sessions (last_used, session_id);
CREATE TABLE messages (
    number INTEGER PRIMARY KEY, session_id TEXT NOT NULL, message TEXT NOT NULL);
CREATE INDEX messages_by_session ON messages (session_id);
CREATE TABLE secrets (
    key TEXT PRIMARY KEY, provider TEXT NOT NULL, encrypted INTEGER NOT NULL, value BLOB NOT NULL);
CREATE TABLE results (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, fingerprint TEXT, claimed_at REAL NOT NULL,
    lease_until REAL NOT NULL, size INTEGER NOT NULL, result TEXT);
PRAGMA application_id = 0x48657374;
PRAGMA user_version = 2;

INSERT INTO traces VALUES
    (3, 'a', 'ALLOW', 100.5, 17, '{"text":"é x"}', '{"status":"completed","milliseconds":2.5,"output":"y"}'),
    (4, 'b', 'BLOCK', 101.0, 12, '{"text":"z"}', '{"status":"blocked","milliseconds":0.0}'),
    (6, 'c', 'ALLOW', 102.0, 12, '{"text":"w"}', NULL);
INSERT INTO decisions VALUES ('ALLOW', 7), ('BLOCK', 1);
INSERT INTO sessions VALUES ('s', 100.0, 1, 29);
INSERT INTO messages VALUES (1, 's', '{"role":"user","content":"x"}');
INSERT INTO secrets VALUES ('k', 'vault', 0, 'value');
INSERT INTO results VALUES (7, 'key', 'f', 100.0, 700.0, 1, '1'), (8, 'claimed', 'f', 100.0, 700.0, 0, NULL);
INSERT INTO kept VALUES ('traces', 3, 110), ('sessions', 1, 29), ('results', 1, 1);
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "store.db"
    with closing(sqlite3.connect(file)) as db:
        db.executescript(VERSION_1)
    return file


def test_a_file_of_version_1(file: Path) -> None:
    with closing(Store(file)) as store:
        first = store.trace("a")
        assert first is not None
        assert (first.decision, first.outcome) == ("ALLOW", Outcome("completed"))
        assert first.decided_at == pytest.approx(1795746828.25, abs=0.01)
        assert first.facts["command"] == {"command_id": "a", "command_type": "RUN", "input": "é x"}
        blocked = store.trace("b")
        assert blocked is not None
        assert blocked.outcome == Outcome("blocked")
        assert store.decisions() == {"ALLOW": 2, "BLOCK": 1}
        assert store.messages("s") == [{"role": "user", "content": "é"}, {"role": "assistant", "content": "y"}]
        assert store.sessions() == [Session("empty", 300.0, 0), Session("t", 200.0, 1), Session("s", 100.0, 2)]
        assert (store.secret("k"), store.secret("n")) == ("value", "v\0w")
        assert store.claim("key", "another hash", now=0.0, lease=1.0) == Finished({"result": {"n": 1}})


@pytest.fixture
def file_2(tmp_path: Path) -> Path:
    file = tmp_path / "store 2.db"
    with closing(sqlite3.connect(file)) as db:
        db.executescript(VERSION_2)
    return file


def test_a_file_of_version_2(file_2: Path) -> None:
    with closing(Store(file_2)) as store:
        first = TraceRecord("a", "ALLOW", 100.5, {"text": "é x"}, Outcome("completed", 2.5, output="y"))
        blocked = TraceRecord("b", "BLOCK", 101.0, {"text": "z"}, Outcome("blocked"))
        unfinished = TraceRecord("c", "ALLOW", 102.0, {"text": "w"})
        assert store.traces() == [unfinished, blocked, first]
        assert store.decisions() == {"ALLOW": 7, "BLOCK": 1}
        report = verify_log(store)
        assert (report.ok, report.first, report.count) == (True, 1, 5)
        assert store.finish_trace("c", Outcome("failed")) is True
        assert store.session("s") == Session("s", 100.0, 1)
        assert store.secret("k") == "value"
        assert store.claim("key", "f", now=200.0, lease=1.0) == Finished(1)
        assert store.claim("claimed", "f", now=200.0, lease=1.0) == InProgress(100.0)
        assert store.prune(Retention(max_count=0), now=200.0) == 5
    with closing(sqlite3.connect(file_2)) as db:
        assert db.execute("SELECT count, bytes FROM kept").fetchall() == [(0, 0)] * 4


def test_the_platform_reads_traces_of_version_1(file: Path) -> None:
    with Platform(store=Store(file)) as platform:
        trace = platform.answer(ServerRequest("governance_trace", {"command_id": "a"}, {}))
        assert isinstance(trace, dict)
        assert (trace["input"], trace["policy"], trace["outcome"]) == ("é x", "default", "completed")


def test_a_migrated_file_is_as_a_new_one(file: Path, file_2: Path, tmp_path: Path) -> None:
    schemas = []
    for each in (tmp_path / "new.db", file, file_2):
        Store(each).close()
        with closing(sqlite3.connect(each)) as db:
            schema = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
            schemas.append((schema, db.execute("PRAGMA user_version").fetchone()))
    assert schemas == [schemas[0]] * 3


def test_what_was_migrated_counts_for_retention(file: Path) -> None:
    with closing(Store(file)) as store:
        assert store.prune(Retention(max_count=0), now=0.0) == 7
        with closing(sqlite3.connect(file)) as db:
            assert db.execute("SELECT count, bytes FROM kept").fetchall() == [(0, 0)] * 4


def test_a_trace_without_a_time_is_not_old(file: Path) -> None:
    with closing(Store(file)) as store:
        store.prune(Retention(max_age=0.0), now=1795746900.0)
        assert [name for name in "abc" if store.trace(name)] == ["c"]


@BROAD
def test_processes_migrate_a_file_once(file: Path) -> None:
    code = (
        "import sys; from hestiaos_local.storage import Store\nprint(Store(sys.argv[1], busy_timeout=30.0).decisions())"
    )
    processes = [python(code, file) for _ in range(4)]
    assert {process.communicate()[0] for process in processes} == {"{'ALLOW': 2, 'BLOCK': 1}\n"}


def test_a_migration_that_fails_changes_nothing(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE traces SET trace = 'not JSON' WHERE number = 3")
        db.commit()
        before = list(db.iterdump())
    with pytest.raises(ValueError, match="malformed JSON"):
        Store(file)
    with closing(sqlite3.connect(file)) as db:
        assert list(db.iterdump()) == before
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
