"""The store that comes with the platform: everything in memory, or in one SQLite file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import attrs

from hestiaos_local.storage._database import Database
from hestiaos_local.storage._records import (
    Claim,
    Claimed,
    Conflict,
    Finished,
    InProgress,
    Message,
    Outcome,
    Retention,
    Session,
    TraceRecord,
)
from hestiaos_local.storage._retention import count_kept, prune_batch
from hestiaos_local.storage._vault import VARIABLE, Vault
from hestiaos_proto import json

__all__ = ["MAX_RESULTS", "Store"]

MAX_RESULTS = 1000
"""How many results are kept for requests that come again."""

_NEWEST_RESULTS = Retention(max_count=MAX_RESULTS)


class Store:
    """The platform's memory: a SQLite file at `path`, which is created if it is missing, or `None`: no file.

    The file, and each directory made for it, is this user's alone. Threads, processes and both sides of a fork may use
    it at once: readers do not wait, a writer waits for the others, `busy_timeout` seconds at most. With a `key`, by
    default that of `HESTIAOS_STORE_KEY`, secrets are encrypted in the file, those that are in it already too.

    Raises `StoreError` for a file that cannot be used, which is left as it is; every method does so where it cannot be
    used any more. `Storage` says what the methods do.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, key: str | None = None, busy_timeout: float = 5.0
    ) -> None:
        self.kind = "memory" if path is None else "sqlite"
        self.blocking: bool = path is not None
        self._database = Database(path, busy_timeout)
        try:
            self._vault = Vault(self._database, _key(key) if self.blocking else None)
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        self._database.close()

    def works(self) -> bool:
        return self._database.works()

    # One execution for one Idempotency-Key. A power cut may take the last of these, which matter for moments.

    def claim(self, key: str, fingerprint: str, *, now: float, lease: float) -> Claim:
        with self._database.write(durable=False) as db:
            row = db.execute(
                "SELECT fingerprint, claimed_at, lease_until, result FROM results WHERE key = ?", (key,)
            ).fetchone()
            if row is None or (row[3] is None and row[2] <= now):
                token = db.execute(
                    "INSERT OR REPLACE INTO results (key, fingerprint, claimed_at, lease_until, size) "
                    "VALUES (?, ?, ?, ?, 0)",
                    (key, fingerprint, now, now + lease),
                ).lastrowid
                assert token is not None, "a row was inserted"
                return Claimed(token)
        claimed_fingerprint, claimed_at, lease_until, result = row
        if claimed_fingerprint not in (None, fingerprint):  # `None` is that of a result of the file's version 1
            return Conflict()
        if result is None:
            return InProgress(min(max(1.0, now - claimed_at), lease_until - now))
        return Finished(json.loads(result.encode()))

    def finish(self, key: str, token: int, result: Any) -> bool:
        text = json.dumps(result).decode()
        size = len(text.encode())
        with self._database.write(durable=False) as db:
            changed = db.execute(
                "UPDATE results SET result = ?, size = ? WHERE key = ? AND number = ? AND result IS NULL",
                (text, size, key, token),
            ).rowcount
            if changed:
                count_kept(db, "results", 1, size)
                prune_batch(db, "results", _NEWEST_RESULTS, 0.0)
        return changed == 1

    def abandon(self, key: str, token: int) -> None:
        with self._database.write(durable=False) as db:
            db.execute("DELETE FROM results WHERE key = ? AND number = ? AND result IS NULL", (key, token))

    # Traces.

    def add_trace(self, trace: TraceRecord) -> None:
        facts = json.dumps(dict(trace.facts))
        outcome = None if trace.outcome is None else _outcome_to_json(trace.outcome)
        size = len(facts) + len(outcome or b"")
        with self._database.write() as db:
            db.execute(
                "INSERT INTO traces (trace_id, decision, decided_at, size, facts, outcome) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    trace.trace_id,
                    trace.decision,
                    trace.decided_at,
                    size,
                    facts.decode(),
                    None if outcome is None else outcome.decode(),
                ),
            )
            db.execute(
                "INSERT INTO decisions (decision, taken) VALUES (?, 1) "
                "ON CONFLICT (decision) DO UPDATE SET taken = taken + 1",
                (trace.decision,),
            )
            count_kept(db, "traces", 1, size)

    def finish_trace(self, trace_id: str, outcome: Outcome) -> bool:
        data = _outcome_to_json(outcome)
        with self._database.write(durable=False) as db:
            changed = db.execute(
                "UPDATE traces SET outcome = ?, size = size + ? WHERE trace_id = ? AND outcome IS NULL",
                (data.decode(), len(data), trace_id),
            ).rowcount
            count_kept(db, "traces", 0, len(data) * changed)
        return changed == 1

    def trace(self, trace_id: str) -> TraceRecord | None:
        with self._database.read() as db:
            row = db.execute(f"{_SELECT_TRACES} WHERE trace_id = ?", (trace_id,)).fetchone()
        return None if row is None else _trace(*row)

    def traces(self, *, limit: int = 100, decision: str | None = None) -> list[TraceRecord]:
        with self._database.read() as db:
            rows = db.execute(
                f"{_SELECT_TRACES} WHERE ? IS NULL OR decision = ? ORDER BY number DESC LIMIT ?",
                (decision, decision, max(0, limit)),
            ).fetchall()
        return [_trace(*row) for row in rows]

    def decisions(self, newest: int | None = None) -> dict[str, int]:
        with self._database.read() as db:
            if newest is None:
                return dict(db.execute("SELECT decision, taken FROM decisions").fetchall())
            return dict(
                db.execute(
                    "SELECT decision, count(*) FROM (SELECT decision FROM traces ORDER BY number DESC LIMIT ?) "
                    "GROUP BY decision",
                    (max(0, newest),),
                ).fetchall()
            )

    # Sessions.

    def add_messages(self, session_id: str, messages: Iterable[Message], *, now: float) -> None:
        texts = [json.dumps(dict(message)) for message in messages]
        size = sum(map(len, texts))
        with self._database.write() as db:
            known = db.execute(
                "UPDATE sessions SET last_used = ?, messages = messages + ?, size = size + ? WHERE session_id = ?",
                (now, len(texts), size, session_id),
            ).rowcount
            if not known:
                db.execute(
                    "INSERT INTO sessions (session_id, last_used, messages, size) VALUES (?, ?, ?, ?)",
                    (session_id, now, len(texts), size),
                )
            db.executemany(
                "INSERT INTO messages (session_id, message) VALUES (?, ?)",
                [(session_id, text.decode()) for text in texts],
            )
            count_kept(db, "sessions", 1 - known, size)

    def messages(self, session_id: str, *, last: int | None = None) -> list[Message]:
        with self._database.read() as db:
            rows = db.execute(
                "SELECT message FROM messages WHERE session_id = ? ORDER BY number DESC LIMIT ?",
                (session_id, -1 if last is None else max(0, last)),
            ).fetchall()
        return [json.loads(message.encode()) for (message,) in reversed(rows)]

    def session(self, session_id: str) -> Session | None:
        with self._database.read() as db:
            row = db.execute(
                "SELECT session_id, last_used, messages FROM sessions WHERE session_id = ?", (session_id,)
            ).fetchone()
        return None if row is None else Session(*row)

    def sessions(self, *, limit: int = 100, after: Session | None = None) -> list[Session]:
        before = (float("inf"), "") if after is None else (after.last_used, after.session_id)
        with self._database.read() as db:
            rows = db.execute(
                "SELECT session_id, last_used, messages FROM sessions WHERE (last_used, session_id) < (?, ?) "
                "ORDER BY last_used DESC, session_id DESC LIMIT ?",
                (*before, limit),
            ).fetchall()
        return [Session(*row) for row in rows]

    def delete_session(self, session_id: str) -> bool:
        with self._database.write() as db:
            row = db.execute("SELECT size FROM sessions WHERE session_id = ?", (session_id,)).fetchone()
            if row is None:
                return False
            db.execute("DELETE FROM messages WHERE session_id = ?", (session_id,))
            db.execute("DELETE FROM sessions WHERE session_id = ?", (session_id,))
            count_kept(db, "sessions", -1, -row[0])
        self._database.truncate_log()
        return True

    def active_sessions(self, since: float) -> int:
        with self._database.read() as db:
            count: int = db.execute("SELECT count(*) FROM sessions WHERE last_used >= ?", (since,)).fetchone()[0]
        return count

    # Secrets.

    def secret(self, key: str) -> str | None:
        return self._vault.get(key)

    def set_secret(self, key: str, value: str, provider: str) -> None:
        self._vault.set(key, value, provider)

    def delete_secret(self, key: str) -> bool:
        return self._vault.delete(key)

    def secret_names(self) -> list[str]:
        return self._vault.names()

    def prune(self, retention: Retention, *, now: float) -> int:
        deleted = 0
        for kind in ("traces", "sessions", "results"):
            while True:
                with self._database.write(durable=False) as db:
                    batch = prune_batch(db, kind, retention, now)
                if not batch:
                    break
                deleted += batch
        with self._database.write(durable=False) as db:  # those of processes that crashed
            db.execute("DELETE FROM results WHERE result IS NULL AND lease_until <= ?", (now,))
        return deleted


def _key(given: str | None) -> str | None:
    return (os.environ.get(VARIABLE) if given is None else given) or None


_SELECT_TRACES = "SELECT trace_id, decision, decided_at, facts, outcome FROM traces"


def _trace(trace_id: str, decision: str, decided_at: float, facts: str, outcome: str | None) -> TraceRecord:
    return TraceRecord(
        trace_id,
        decision,
        decided_at,
        json.loads(facts.encode()),
        None if outcome is None else Outcome(**json.loads(outcome.encode())),
    )


def _outcome_to_json(outcome: Outcome) -> bytes:
    return json.dumps({name: value for name, value in attrs.asdict(outcome).items() if value is not None})
