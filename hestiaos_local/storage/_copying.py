"""A store copied into another, of whatever kind: row by row, so that the decision log stays provable."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from attrs import frozen

from hestiaos_local.storage._database import Database, Transaction
from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage._opening import open_database
from hestiaos_local.storage._vault import SECRETS_META

__all__ = ["copy_store"]

_BATCH_ROWS = 1000  # at most, of which
_BATCH_BYTES = 2 * 1024**2  # are read at once, as far as the rows before tell how long they are


@frozen
class _Table:
    """A table: its name, what its rows are read by, in order, and the other columns that are copied."""

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    key_is_copied: bool = True


_IN_ORDER = ("rowid",)
_TABLES = (
    _Table("log", _IN_ORDER, ("number", "decided_at", "size", "hash", "record"), False),
    _Table("traces", _IN_ORDER, ("number", "trace_id", "decision", "finished"), False),
    _Table("chain", ("chain", "name"), ("number", "hash")),
    _Table("kept", ("kind", "chain"), ("count", "bytes")),
    _Table("decisions", ("decision", "chain"), ("taken",)),
    _Table("counters", ("name", "per", "subject", '"window"'), ("until", "state")),
    _Table(
        "approvals",
        ("number",),
        (
            "id",
            "call_hash",
            "created_at",
            "expires_at",
            "status",
            "decided_by",
            "decided_at",
            "size",
            "facts",
        ),
    ),
    _Table("sessions", ("session_id",), ("last_used", "messages", "size")),
    _Table("messages", ("number",), ("session_id", "message")),
    _Table("results", ("number",), ("key", "fingerprint", "claimed_at", "lease_until", "size", "result")),
    _Table("secrets", ("key",), ("provider", "encrypted", "value")),
    _Table("meta", ("name",), ("value",)),
)
_NEVER_EMPTY = ("chain", "kept", "meta")  # these have rows from the start
_ONLY = {"meta": f"name IN ({', '.join(map(repr, SECRETS_META))})"}  # the rest is each store's own


def copy_store(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    replace: bool = False,
    busy_timeout: float = 5.0,
    on_progress: Callable[[str, int], object] = lambda table, rows: None,
) -> dict[str, int]:
    """Copy all that a store has, as it is at one moment, into an empty one: all of it, or nothing.

    Traces with the decision log, whose chains are proven by the same heads as before, sessions, approvals, counters,
    results and claims, and secrets, encrypted where they are. With `replace` what the target has is deleted first. Both
    may be the file of a store or the URL of a database; a little is in memory at a time. `on_progress` is told how many
    rows of a table are copied. Returns how many there are.

    Raises `StoreError` where one of them cannot be used, or the target is not empty.
    """
    opened: list[Database] = []
    try:
        opened.append(open_database(source, busy_timeout))
        opened.append(open_database(target, busy_timeout))
        with opened[0].snapshot() as rows, opened[1].write() as db:
            return _copy(rows, db, opened[1], replace, on_progress)
    finally:
        for database in opened:
            database.close()


def _copy(
    source: Transaction,
    target: Transaction,
    database: Database,
    replace: bool,
    on_progress: Callable[[str, int], object],
) -> dict[str, int]:
    full = [table.name for table in _TABLES if table.name not in _NEVER_EMPTY and not _is_empty(target, table.name)]
    if full and not replace:
        raise StoreError(f"{database.name} is not empty: name another store, or replace what is in it")
    copied: dict[str, int] = {}
    for table in _TABLES:
        where = _ONLY.get(table.name, "1 = 1")
        target.execute(f"DELETE FROM {table.name} WHERE {where}")
        columns = (*table.key, *table.columns) if table.key_is_copied else table.columns
        insert = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        count = 0
        for rows in _batches(source, table, where):
            target.executemany(insert, [row if table.key_is_copied else row[len(table.key) :] for row in rows])
            count += len(rows)
            on_progress(table.name, count)
        copied[table.name] = count
    for statement in database.dialect.after_copy:
        target.execute(statement).fetchall()
    return {name: count for name, count in copied.items() if name not in _NEVER_EMPTY}


def _batches(source: Transaction, table: _Table, where: str) -> Iterator[list[Any]]:
    """The rows of a table in the order of its key, some at a time: few of long ones."""
    key, columns = ", ".join(table.key), ", ".join((*table.key, *table.columns))
    after = f"({key}) > ({', '.join('?' * len(table.key))})"
    limit, last = 10, ()
    while True:
        condition = f"{where} AND {after}" if last else where
        statement = f"SELECT {columns} FROM {table.name} WHERE {condition} ORDER BY {key} LIMIT ?"
        rows = source.execute(statement, (*last, limit)).fetchall()
        if not rows:
            return
        yield rows
        last = rows[-1][: len(table.key)]
        size = sum(len(value) for row in rows for value in row if isinstance(value, (str, bytes)))
        limit = max(1, min(_BATCH_ROWS, limit * 4, _BATCH_BYTES * len(rows) // (size + 1)))


def _is_empty(db: Transaction, table: str) -> bool:
    return db.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is None
