"""Retention: deletes the oldest rows of each kind once there are more of them than are to be kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from attrs import frozen

from hestiaos_local.storage._records import Retention

__all__ = ["Row", "count_kept", "counted", "prune_batch", "surplus"]

_BATCH_ROWS = 500  # that one transaction deletes, so that others do not wait for long
_BATCH_BYTES = 16 * 1024**2

# Of each kind, the oldest first: what it is deleted by, its time in seconds since 1970, its size. An entry of the log
# that has no time belongs to a trace before it.
_OLDEST = {
    "traces": "SELECT number, decided_at, size FROM log ORDER BY number LIMIT ?",
    "sessions": "SELECT session_id, last_used, size FROM sessions ORDER BY last_used, session_id LIMIT ?",
    "results": "SELECT number, claimed_at, size FROM results WHERE result IS NOT NULL ORDER BY number LIMIT ?",
    "approvals": "SELECT number, created_at, size FROM approvals ORDER BY number LIMIT ?",
}
_DELETE = {
    # The chain stays provable: what is deleted is its beginning, whose last place is kept.
    "traces": (
        "UPDATE chain SET (number, hash) = (SELECT number, hash FROM log WHERE number = ?) WHERE name = 'anchor'",
        "DELETE FROM log WHERE number = ?",
        "DELETE FROM traces WHERE number = ?",
    ),
    "sessions": ("DELETE FROM messages WHERE session_id = ?", "DELETE FROM sessions WHERE session_id = ?"),
    "results": ("DELETE FROM results WHERE number = ?",),
    "approvals": ("DELETE FROM approvals WHERE number = ?",),
}


@frozen
class Row:
    """One session, result or approval, or an entry of the log; `time` is `None` of the second entry of a trace."""

    row: int | str
    time: float | None
    size: int


def surplus(rows: Iterable[Row], count: int, size: int, retention: Retention, now: float) -> list[Row]:
    """Which of the oldest `rows` have to go, where there are `count` in all, of `size` bytes; a batch at most."""
    going: list[Row] = []
    freed = 0
    for row in rows:
        if freed >= _BATCH_BYTES:
            break
        if row.time is not None:  # otherwise its trace has gone before it
            too_old = retention.max_age is not None and row.time < now - retention.max_age
            too_many = retention.max_count is not None and count > retention.max_count
            too_large = retention.max_bytes is not None and size > retention.max_bytes
            if not (too_old or too_many or too_large):
                break
            count -= 1
        going.append(row)
        size, freed = size - row.size, freed + row.size
    return going


def count_kept(db: sqlite3.Connection, kind: str, count: int, size: int) -> None:
    """Count what was added to a kind, or, below 0, taken from it."""
    db.execute("UPDATE kept SET count = count + ?, bytes = bytes + ? WHERE kind = ?", (count, size, kind))


def prune_batch(db: sqlite3.Connection, kind: str, retention: Retention, now: float) -> list[Row]:
    """Delete a batch of one kind, inside the caller's transaction. Returns what was deleted."""
    count, size = db.execute("SELECT count, bytes FROM kept WHERE kind = ?", (kind,)).fetchone()
    oldest = db.execute(_OLDEST[kind], (_BATCH_ROWS,))
    going = surplus((Row(*row) for row in oldest), count, size, retention, now)
    oldest.close()  # most rows were not looked at
    for statement in _DELETE[kind]:
        db.executemany(statement, [(row.row,) for row in going])
    count_kept(db, kind, -counted(going), -sum(row.size for row in going))
    return going


def counted(rows: Iterable[Row]) -> int:
    """How many traces, sessions, results or approvals these are."""
    return sum(row.time is not None for row in rows)
