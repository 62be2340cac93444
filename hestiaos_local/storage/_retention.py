"""Retention: deletes the oldest rows of each kind once there are more of them than are to be kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from attrs import frozen

from hestiaos_local.storage._records import Retention

__all__ = ["Row", "count_kept", "prune_batch", "surplus"]

_BATCH_ROWS = 500  # that one transaction deletes, so that others do not wait for long
_BATCH_BYTES = 16 * 1024**2

# Of each kind, the oldest first: what it is deleted by, its time in seconds since 1970, its size.
_OLDEST = {
    "traces": "SELECT number, decided_at, size FROM traces ORDER BY number LIMIT ?",
    "sessions": "SELECT session_id, last_used, size FROM sessions ORDER BY last_used, session_id LIMIT ?",
    "results": "SELECT number, claimed_at, size FROM results WHERE result IS NOT NULL ORDER BY number LIMIT ?",
}
_DELETE = {
    "traces": ("DELETE FROM traces WHERE number = ?",),
    "sessions": ("DELETE FROM messages WHERE session_id = ?", "DELETE FROM sessions WHERE session_id = ?"),
    "results": ("DELETE FROM results WHERE number = ?",),
}


@frozen
class Row:
    """One trace, session or result."""

    row: int | str
    time: float
    size: int


def surplus(rows: Iterable[Row], count: int, size: int, retention: Retention, now: float) -> list[Row]:
    """Which of the oldest `rows` have to go, where there are `count` in all, of `size` bytes; a batch at most."""
    going: list[Row] = []
    freed = 0
    for row in rows:
        too_old = retention.max_age is not None and row.time < now - retention.max_age
        too_many = retention.max_count is not None and count > retention.max_count
        too_large = retention.max_bytes is not None and size > retention.max_bytes
        if not (too_old or too_many or too_large) or freed >= _BATCH_BYTES:
            break
        going.append(row)
        count, size, freed = count - 1, size - row.size, freed + row.size
    return going


def count_kept(db: sqlite3.Connection, kind: str, count: int, size: int) -> None:
    """Count what was added to a kind, or, below 0, taken from it."""
    db.execute("UPDATE kept SET count = count + ?, bytes = bytes + ? WHERE kind = ?", (count, size, kind))


def prune_batch(db: sqlite3.Connection, kind: str, retention: Retention, now: float) -> int:
    """Delete a batch of one kind, inside the caller's transaction. Returns how many."""
    count, size = db.execute("SELECT count, bytes FROM kept WHERE kind = ?", (kind,)).fetchone()
    oldest = db.execute(_OLDEST[kind], (_BATCH_ROWS,))
    going = surplus((Row(*row) for row in oldest), count, size, retention, now)
    oldest.close()  # most rows were not looked at
    for statement in _DELETE[kind]:
        db.executemany(statement, [(row.row,) for row in going])
    count_kept(db, kind, -len(going), -sum(row.size for row in going))
    return len(going)
