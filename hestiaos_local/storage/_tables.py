"""The tables of this version."""

from __future__ import annotations

__all__ = [
    "APPROVALS",
    "APPROVALS_BY_CALL",
    "CHAIN",
    "CHAIN_START",
    "COUNTERS",
    "COUNTERS_BY_TIME",
    "CREATE",
    "DECISIONS",
    "KEPT",
    "LOG",
    "MESSAGES",
    "MESSAGES_BY_SESSION",
    "META",
    "RESULTS",
    "SECRETS",
    "SESSIONS",
    "SESSIONS_BY_USE",
    "TRACES",
    "VERSION",
]

VERSION = 4

META = "CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL)"
# The totals of each kind, and how often each decision was ever taken, so that no query has to count rows.
# Each chain of the log has its own totals, so that the writers of different chains do not wait for each other.
KEPT = """CREATE TABLE kept (
    kind TEXT NOT NULL, chain INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
    PRIMARY KEY (kind, chain))"""
DECISIONS = """CREATE TABLE decisions (
    decision TEXT NOT NULL, chain INTEGER NOT NULL, taken INTEGER NOT NULL, PRIMARY KEY (decision, chain))"""
# Append-only: for each trace the record of its decision, and later that of its outcome, without a `decided_at`.
LOG = """CREATE TABLE log (
    number INTEGER PRIMARY KEY, decided_at REAL, size INTEGER NOT NULL, hash BLOB NOT NULL, record TEXT NOT NULL)"""
# Two positions in each chain of the log: the last deleted entry (`anchor`) and the last written one (`head`).
CHAIN = """CREATE TABLE chain (
    chain INTEGER NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (chain, name))"""
CHAIN_START = """INSERT INTO chain (chain, name, number, hash)
    VALUES (0, 'anchor', 0, zeroblob(32)), (0, 'head', 0, zeroblob(32))"""
# The positions of each trace's two records in the log: `number` of the decision, `finished` of the outcome.
TRACES = """CREATE TABLE traces (
    number INTEGER PRIMARY KEY, trace_id TEXT NOT NULL UNIQUE, decision TEXT NOT NULL, finished INTEGER)"""
COUNTERS = """CREATE TABLE counters (
    name TEXT NOT NULL, per TEXT NOT NULL, subject TEXT NOT NULL, window REAL NOT NULL, until REAL NOT NULL,
    state TEXT NOT NULL, PRIMARY KEY (name, per, subject, window))"""
COUNTERS_BY_TIME = "CREATE INDEX counters_by_time ON counters (until)"
APPROVALS = """CREATE TABLE approvals (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, call_hash TEXT NOT NULL, created_at REAL NOT NULL,
    expires_at REAL NOT NULL, status TEXT NOT NULL, decided_by TEXT, decided_at REAL, size INTEGER NOT NULL,
    facts TEXT NOT NULL)"""
APPROVALS_BY_CALL = "CREATE INDEX approvals_by_call ON approvals (call_hash)"
SESSIONS = """CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY, last_used REAL NOT NULL, messages INTEGER NOT NULL, size INTEGER NOT NULL)"""
SESSIONS_BY_USE = "CREATE INDEX sessions_by_use ON sessions (last_used, session_id)"
MESSAGES = """CREATE TABLE messages (
    number INTEGER PRIMARY KEY, session_id TEXT NOT NULL, message TEXT NOT NULL)"""
MESSAGES_BY_SESSION = "CREATE INDEX messages_by_session ON messages (session_id)"
SECRETS = """CREATE TABLE secrets (
    key TEXT PRIMARY KEY, provider TEXT NOT NULL, encrypted INTEGER NOT NULL, value BLOB NOT NULL)"""
# A row without a result is a claim. Numbers are never reused, so the number identifies the claim.
RESULTS = """CREATE TABLE results (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, fingerprint TEXT, claimed_at REAL NOT NULL,
    lease_until REAL NOT NULL, size INTEGER NOT NULL, result TEXT)"""

CREATE = (
    META,
    KEPT,
    DECISIONS,
    LOG,
    CHAIN,
    CHAIN_START,
    TRACES,
    COUNTERS,
    COUNTERS_BY_TIME,
    APPROVALS,
    APPROVALS_BY_CALL,
    SESSIONS,
    SESSIONS_BY_USE,
    MESSAGES,
    MESSAGES_BY_SESSION,
    SECRETS,
    RESULTS,
    "INSERT INTO kept (kind, chain, count, bytes) "
    "VALUES ('traces', 0, 0, 0), ('sessions', 0, 0, 0), ('results', 0, 0, 0), ('approvals', 0, 0, 0)",
)
"""The statements that create the tables in an empty database."""
