"""Migrations of the tables of older versions, within the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable

from hestiaos_local.governance import START
from hestiaos_local.storage import _tables as tables
from hestiaos_local.storage._log import append_decided, append_finished, decided_record, finished_record
from hestiaos_local.storage._records import Outcome, TraceRecord
from hestiaos_proto import json

__all__ = ["migrate"]


def migrate(db: sqlite3.Connection, found: int) -> None:
    """Migrate the tables, and what they contain, from version `found` to the current one."""
    while found != tables.VERSION:
        found = _MIGRATIONS[found](db)


def _from_version_1(db: sqlite3.Connection) -> int:
    _execute(db, _FROM_VERSION_1)
    return 2


def _from_version_2(db: sqlite3.Connection) -> int:
    """Write the traces into the decision log, which version 2 did not have."""
    _execute(db, ["ALTER TABLE traces RENAME TO traces_2", *_COUNTED_FOR_EACH_CHAIN, *_NEW_IN_VERSION_3])
    db.execute("UPDATE kept SET count = 0, bytes = 0 WHERE kind = 'traces'")
    old = db.execute("SELECT trace_id, decision, decided_at, facts, outcome FROM traces_2 ORDER BY number")
    end = START
    for trace_id, decision, decided_at, facts, outcome in old:
        trace = TraceRecord(trace_id, decision, decided_at, json.loads(facts.encode()))
        end, statements = append_decided(end, trace, decided_record(trace))
        if outcome is not None:
            record = finished_record(trace_id, Outcome(**json.loads(outcome.encode())))
            end, finished = append_finished(end, trace_id, record)
            statements += finished
        for statement, values in statements:
            db.execute(statement, values)
    db.execute("DROP TABLE traces_2")
    return tables.VERSION


def _from_version_3(db: sqlite3.Connection) -> int:
    """Add the number of the chain: version 3 had only one."""
    _execute(db, [*_COUNTED_FOR_EACH_CHAIN, *_CHAINS])
    return 4


def _execute(db: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        db.execute(statement)


_MIGRATIONS: dict[int, Callable[[sqlite3.Connection], int]] = {
    1: _from_version_1,
    2: _from_version_2,
    3: _from_version_3,
}
"""The migration from each version. Each returns the version that it migrates to."""

_COUNTED_FOR_EACH_CHAIN = (
    "ALTER TABLE kept RENAME TO kept_3",
    tables.KEPT,
    "INSERT INTO kept (kind, chain, count, bytes) SELECT kind, 0, count, bytes FROM kept_3",
    "DROP TABLE kept_3",
    "ALTER TABLE decisions RENAME TO decisions_3",
    tables.DECISIONS,
    "INSERT INTO decisions (decision, chain, taken) SELECT decision, 0, taken FROM decisions_3",
    "DROP TABLE decisions_3",
)
_CHAINS = (
    "ALTER TABLE chain RENAME TO chain_3",
    tables.CHAIN,
    "INSERT INTO chain (chain, name, number, hash) SELECT 0, name, number, hash FROM chain_3",
    "DROP TABLE chain_3",
)
_NEW_IN_VERSION_3 = (
    tables.LOG,
    tables.CHAIN,
    tables.CHAIN_START,
    tables.TRACES,
    tables.COUNTERS,
    tables.COUNTERS_BY_TIME,
    tables.APPROVALS,
    tables.APPROVALS_BY_CALL,
    "INSERT INTO kept (kind, chain, count, bytes) VALUES ('approvals', 0, 0, 0)",
)

_TRACES_2 = """CREATE TABLE traces (
    number INTEGER PRIMARY KEY, trace_id TEXT NOT NULL UNIQUE, decision TEXT NOT NULL, decided_at REAL NOT NULL,
    size INTEGER NOT NULL, facts TEXT NOT NULL, outcome TEXT)"""
_FROM_VERSION_1 = (
    tables.META,
    "CREATE TABLE kept (kind TEXT PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL)",
    "CREATE TABLE decisions (decision TEXT PRIMARY KEY, taken INTEGER NOT NULL)",
    # Version 1 stored a trace when its execution ended.
    "DROP INDEX traces_by_decision",
    "ALTER TABLE traces RENAME TO traces_1",
    _TRACES_2,
    """INSERT INTO traces (number, trace_id, decision, decided_at, size, facts, outcome)
        SELECT number, trace_id, decision,
            (coalesce(julianday(json_extract(trace, '$.timestamp')), julianday('now')) - 2440587.5) * 86400.0,
            0, '{"trace":' || trace || ',"command":' || command || '}',
            CASE decision WHEN 'BLOCK' THEN '{"status":"blocked"}' ELSE '{"status":"completed"}' END
        FROM traces_1""",
    "UPDATE traces SET size = length(CAST(facts AS BLOB)) + length(CAST(outcome AS BLOB))",
    "DROP TABLE traces_1",
    "INSERT INTO decisions (decision, taken) SELECT decision, count(*) FROM traces GROUP BY decision",
    "DROP INDEX messages_by_session",
    "ALTER TABLE messages RENAME TO messages_1",
    tables.MESSAGES,
    tables.MESSAGES_BY_SESSION,
    """INSERT INTO messages (number, session_id, message)
        SELECT number, session_id, json_object('role', role, 'content', text) FROM messages_1""",
    "DROP TABLE messages_1",
    "DROP INDEX sessions_by_use",
    "ALTER TABLE sessions RENAME TO sessions_1",
    tables.SESSIONS,
    tables.SESSIONS_BY_USE,
    """INSERT INTO sessions (session_id, last_used, messages, size)
        SELECT session_id, last_used, count(message), coalesce(sum(length(CAST(message AS BLOB))), 0)
        FROM sessions_1 LEFT JOIN messages USING (session_id) GROUP BY session_id""",
    "DROP TABLE sessions_1",
    "ALTER TABLE secrets RENAME TO secrets_1",
    tables.SECRETS,
    "INSERT INTO secrets (key, provider, encrypted, value) SELECT key, provider, 0, value FROM secrets_1",
    "DROP TABLE secrets_1",
    # Its fingerprints depended on the order of JSON keys and are dropped: any request with the key gets the result.
    "ALTER TABLE results RENAME TO results_1",
    tables.RESULTS,
    """INSERT INTO results (number, key, fingerprint, claimed_at, lease_until, size, result)
        SELECT number, key, NULL, (julianday('now') - 2440587.5) * 86400.0, 0, length(CAST(result AS BLOB)), result
        FROM results_1""",
    "DROP TABLE results_1",
    """INSERT INTO kept (kind, count, bytes)
        SELECT 'traces', count(*), coalesce(sum(size), 0) FROM traces
        UNION ALL SELECT 'sessions', count(*), coalesce(sum(size), 0) FROM sessions
        UNION ALL SELECT 'results', count(*), coalesce(sum(size), 0) FROM results""",
)
