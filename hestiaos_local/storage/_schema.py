"""The tables, their version, and how a file of an older version becomes one of this."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from hestiaos_local.storage._errors import StoreError

__all__ = ["VERSION", "prepare"]

VERSION = 2
_APPLICATION_ID = 0x48657374  # "Hest": says in the file's head whose it is

_META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL)"
# How much there is of each kind, and how often each decision was ever taken: so that no query has to count.
_KEPT = "CREATE TABLE kept (kind TEXT PRIMARY KEY, count INTEGER NOT NULL, bytes INTEGER NOT NULL)"
_DECISIONS = "CREATE TABLE decisions (decision TEXT PRIMARY KEY, taken INTEGER NOT NULL)"
_TRACES = """CREATE TABLE traces (
    number INTEGER PRIMARY KEY, trace_id TEXT NOT NULL UNIQUE, decision TEXT NOT NULL, decided_at REAL NOT NULL,
    size INTEGER NOT NULL, facts TEXT NOT NULL, outcome TEXT)"""
_SESSIONS = """CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, last_used REAL NOT NULL, messages INTEGER NOT NULL, size INTEGER NOT NULL)"""
_SESSIONS_BY_USE = "CREATE INDEX sessions_by_use ON sessions (last_used, session_id)"
_MESSAGES = """CREATE TABLE messages (
    number INTEGER PRIMARY KEY, session_id TEXT NOT NULL, message TEXT NOT NULL)"""
_MESSAGES_BY_SESSION = "CREATE INDEX messages_by_session ON messages (session_id)"
_SECRETS = """CREATE TABLE secrets (
    key TEXT PRIMARY KEY, provider TEXT NOT NULL, encrypted INTEGER NOT NULL, value BLOB NOT NULL)"""
# A claim has no result yet. A number is never used again, so that it proves whose claim it is.
_RESULTS = """CREATE TABLE results (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, fingerprint TEXT, claimed_at REAL NOT NULL,
    lease_until REAL NOT NULL, size INTEGER NOT NULL, result TEXT)"""

_TABLES = (
    _META,
    _KEPT,
    _DECISIONS,
    _TRACES,
    _SESSIONS,
    _SESSIONS_BY_USE,
    _MESSAGES,
    _MESSAGES_BY_SESSION,
    _SECRETS,
    _RESULTS,
    "INSERT INTO kept (kind, count, bytes) VALUES ('traces', 0, 0), ('sessions', 0, 0), ('results', 0, 0)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
)


_FROM_VERSION_1 = (
    _META,
    _KEPT,
    _DECISIONS,
    # It stored an execution once it was over.
    "DROP INDEX traces_by_decision",
    "ALTER TABLE traces RENAME TO traces_1",
    _TRACES,
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
    _MESSAGES,
    _MESSAGES_BY_SESSION,
    """INSERT INTO messages (number, session_id, message)
        SELECT number, session_id, json_object('role', role, 'content', text) FROM messages_1""",
    "DROP TABLE messages_1",
    "DROP INDEX sessions_by_use",
    "ALTER TABLE sessions RENAME TO sessions_1",
    _SESSIONS,
    _SESSIONS_BY_USE,
    """INSERT INTO sessions (session_id, last_used, messages, size)
        SELECT session_id, last_used, count(message), coalesce(sum(length(CAST(message AS BLOB))), 0)
        FROM sessions_1 LEFT JOIN messages USING (session_id) GROUP BY session_id""",
    "DROP TABLE sessions_1",
    "ALTER TABLE secrets RENAME TO secrets_1",
    _SECRETS,
    "INSERT INTO secrets (key, provider, encrypted, value) SELECT key, provider, 0, value FROM secrets_1",
    "DROP TABLE secrets_1",
    # Its fingerprints depended on the order of keys and are gone: a result is given to whatever comes with its key.
    "ALTER TABLE results RENAME TO results_1",
    _RESULTS,
    """INSERT INTO results (number, key, fingerprint, claimed_at, lease_until, size, result)
        SELECT number, key, NULL, (julianday('now') - 2440587.5) * 86400.0, 0, length(CAST(result AS BLOB)), result
        FROM results_1""",
    "DROP TABLE results_1",
    """INSERT INTO kept (kind, count, bytes)
        SELECT 'traces', count(*), coalesce(sum(size), 0) FROM traces
        UNION ALL SELECT 'sessions', count(*), coalesce(sum(size), 0) FROM sessions
        UNION ALL SELECT 'results', count(*), coalesce(sum(size), 0) FROM results""",
)
_MIGRATIONS = {1: _FROM_VERSION_1}


def prepare(name: str, db: sqlite3.Connection) -> None:
    """Make the tables of an empty database, or bring those of an older version up to date: all of it, or nothing.

    Raises `StoreError` for another program's database, or of a newer version, which is left as it is.
    """
    with db:
        db.execute("BEGIN")  # what is read now is one state of the file, whatever another process does to it
        found = _found(name, db)
    if found != VERSION:
        with db:
            db.execute("BEGIN IMMEDIATE")
            found = _found(name, db)  # another process may have been faster
            for statement in _TABLES if found == 0 else _migration(found):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")


def _migration(found: int) -> Iterator[str]:
    for version in range(found, VERSION):
        yield from _MIGRATIONS[version]


def _found(name: str, db: sqlite3.Connection) -> int:
    """The version of the tables; 0 of an empty database."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == _APPLICATION_ID and version > VERSION:
        raise StoreError(
            f"{name} was written by a newer version: install that version, or choose another file", problem="newer"
        )
    if application != _APPLICATION_ID and (application or version or tables):
        raise StoreError(f"{name} is the database of another program: choose another file", problem="foreign")
    found: int = version
    return found
