"""The results table: one execution per Idempotency-Key."""

from __future__ import annotations

from typing import Any

from hestiaos_local.storage._database import Database
from hestiaos_local.storage._records import Claim, Claimed, Conflict, Finished, InProgress, Retention
from hestiaos_local.storage._retention import count_kept, prune_batch
from hestiaos_proto import json

__all__ = ["MAX_RESULTS", "Results"]

MAX_RESULTS = 10_000
"""How many results are kept for repeated requests, which a batch engine may send half a minute later."""

_NEWEST_RESULTS = Retention(max_count=MAX_RESULTS, max_bytes=64 * 1024**2, min_count=1000)
_PRUNED = 10  # results at most, for each that is added


class Results:
    """The results stored in `database`. A power failure may lose the last ones, which are needed only briefly."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, key: str, fingerprint: str, now: float, lease: float) -> Claim:
        """Claim a key, or return why that is not possible."""
        with self._database.write(f"result {key}", durable=False) as db:
            void = "DELETE FROM results WHERE key = ? AND result IS NULL AND lease_until <= ?"
            db.execute(void, (key, now))
            known = db.execute("SELECT fingerprint, claimed_at, lease_until, result FROM results WHERE key = ?", (key,))
            claimed = db.execute(
                "INSERT INTO results (key, fingerprint, claimed_at, lease_until, size) VALUES (?, ?, ?, ?, 0) "
                "ON CONFLICT (key) DO NOTHING",
                (key, fingerprint, now, now + lease),
            )
            number = db.execute("SELECT number FROM results WHERE key = ?", (key,))
            rows, token = known.fetchall(), number.fetchall()
            if claimed.rowcount:
                return Claimed(token[0][0])
        [(claimed_fingerprint, claimed_at, lease_until, result)] = rows
        if claimed_fingerprint not in (None, fingerprint):  # None: a result migrated from version 1
            return Conflict()
        if result is None:
            return InProgress(min(max(1.0, now - claimed_at), lease_until - now))
        return Finished(json.loads(result.encode()))

    def finish(self, key: str, token: int, result: Any) -> bool:
        """Store the result of a claim. Return False if the claim expired and was replaced."""
        text = json.dumps(result).decode()
        size = len(text.encode())
        with self._database.write(durable=False) as db:
            changed = db.execute(
                "UPDATE results SET result = ?, size = ? WHERE key = ? AND number = ? AND result IS NULL",
                (text, size, key, token),
            )
            prune_batch(self._database, db, "results", _NEWEST_RESULTS, 0.0, rows=_PRUNED)
            if found := changed.rowcount == 1:
                count_kept(db, self._database.chain, "results", 1, size)
        return found

    def abandon(self, key: str, token: int) -> None:
        """Release the key of a claim."""
        with self._database.write(durable=False) as db:
            db.execute("DELETE FROM results WHERE key = ? AND number = ? AND result IS NULL", (key, token))

    def delete_void(self, now: float) -> None:
        """Delete expired claims, whose processes have crashed."""
        with self._database.write(durable=False) as db:
            db.execute("DELETE FROM results WHERE result IS NULL AND lease_until <= ?", (now,))
