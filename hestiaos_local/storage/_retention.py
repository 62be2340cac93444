"""Retention: delete the oldest rows of each kind while they exceed its limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from hestiaos_local.governance import CHAIN_SIZE
from hestiaos_local.storage._database import Database, Statement, Transaction
from hestiaos_local.storage._records import Retention

__all__ = ["Row", "count_kept", "counted", "kept_counted", "prune_batch", "surplus"]

_BATCH_ROWS = 500  # per transaction, so that other writers do not wait for long
_BATCH_BYTES = 16 * 1024**2

# For each kind, oldest first: the key to delete by, the time in seconds since 1970, and the size. An entry of the log
# without a time is the outcome of an earlier trace.
_OLDEST = {
    "traces": "SELECT number, decided_at, size FROM log ORDER BY rowid LIMIT ?",
    "sessions": "SELECT session_id, last_used, size FROM sessions ORDER BY last_used, session_id LIMIT ?",
    "results": "SELECT number, claimed_at, size FROM results WHERE result IS NOT NULL ORDER BY number LIMIT ?",
    "approvals": "SELECT number, created_at, size FROM approvals ORDER BY number LIMIT ?",
}
_DELETE = {
    # A chain can still be verified: only its beginning is deleted, and its anchor is the last deleted entry.
    "traces": (
        "UPDATE chain SET (number, hash) = (SELECT number, hash FROM log WHERE number = :row) "
        f"WHERE chain = :row / {CHAIN_SIZE} AND name = 'anchor'",
        "DELETE FROM log WHERE number = :row",
        "DELETE FROM traces WHERE number = :row",
    ),
    "sessions": ("DELETE FROM messages WHERE session_id = :row", "DELETE FROM sessions WHERE session_id = :row"),
    "results": ("DELETE FROM results WHERE number = :row",),
    "approvals": ("DELETE FROM approvals WHERE number = :row",),
}


class Row(NamedTuple):
    """A session, a result, an approval, or an entry of the log. `time` is None for the outcome of a trace."""

    row: int | str
    time: float | None
    size: int


def surplus(rows: Iterable[Row], count: int, size: int, retention: Retention, now: float) -> list[Row]:
    """Return which of the oldest `rows` to delete, at most a batch, given `count` rows of `size` bytes in total."""
    going: list[Row] = []
    freed = 0
    for row in rows:
        if freed >= _BATCH_BYTES:
            break
        if row.time is not None:  # an outcome does not count as a trace of its own
            too_old = retention.max_age is not None and row.time < now - retention.max_age
            too_many = retention.max_count is not None and count > retention.max_count
            too_large = retention.max_bytes is not None and size > retention.max_bytes
            if not too_many and (count <= retention.min_count or not (too_old or too_large)):
                break
            count -= 1
        going.append(row)
        size, freed = size - row.size, freed + row.size
    return going


def kept_counted(chain: int, kind: str, count: int, size: int) -> Statement:
    """Return the statement that adds to the totals of a kind in this chain, or subtracts if negative.

    The total of a kind is the sum over all chains.
    """
    return (
        "INSERT INTO kept (kind, chain, count, bytes) VALUES (?, ?, ?, ?) ON CONFLICT (kind, chain) "
        "DO UPDATE SET count = kept.count + excluded.count, bytes = kept.bytes + excluded.bytes",
        (kind, chain, count, size),
    )


def count_kept(db: Transaction, chain: int, kind: str, count: int, size: int) -> None:
    """Add to the totals of a kind in this chain, or subtract if negative."""
    db.execute(*kept_counted(chain, kind, count, size))


def prune_batch(
    database: Database, db: Transaction, kind: str, retention: Retention, now: float, rows: int = _BATCH_ROWS
) -> list[Row]:
    """Delete at most so many `rows` of one kind within the caller's transaction. Return the deleted rows.

    Nothing is deleted while another process is pruning this kind.
    """
    locked = database.try_lock(db, f"oldest {kind}")
    there = "SELECT coalesce(sum(count), 0), coalesce(sum(bytes), 0) FROM kept WHERE kind = ?"
    kept = db.execute(there, (kind,))  # after the lock
    count, size = map(int, kept.fetchone())
    if not locked() or not _may_exceed(count, size, retention):
        return []
    oldest = db.execute(f"{_OLDEST[kind]} {database.dialect.skip_locked}", (rows,))
    going = surplus((Row(*row) for row in oldest), count, size, retention, now)
    oldest.close()  # `surplus` stops early, with rows still unread
    if going:
        for statement in _DELETE[kind]:
            db.executemany(statement, [{"row": row.row} for row in going])
        count_kept(db, database.chain, kind, -counted(going), -sum(row.size for row in going))
    return going


def _may_exceed(count: int, size: int, retention: Retention) -> bool:
    """Return whether any of `count` items with a total length of `size` bytes may exceed the retention."""
    too_many = retention.max_count is not None and count > retention.max_count
    too_large = retention.max_bytes is not None and size > retention.max_bytes
    return too_many or (count > retention.min_count and (too_large or retention.max_age is not None))


def counted(rows: Iterable[Row]) -> int:
    """Count the traces, sessions, results or approvals among these rows."""
    return sum(row.time is not None for row in rows)
