"""Copy one store into another of any kind, row by row, so that the decision log can still be verified."""

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

_BATCH_ROWS = 1000  # rows read at once, at most
_BATCH_BYTES = 2 * 1024**2  # bytes read at once, estimated from the rows before


@frozen
class _Table:
    """A table to copy: its name, the key columns that order its rows, and the other columns."""

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
_NEVER_EMPTY = ("chain", "kept", "meta")  # a new store already has rows in these
_ONLY = {"meta": f"name IN ({', '.join(map(repr, SECRETS_META))})"}  # the other rows belong to each store


def copy_store(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    replace: bool = False,
    busy_timeout: float = 5.0,
    on_progress: Callable[[str, int], object] = lambda table, rows: None,
) -> dict[str, int]:
    """Copy a consistent snapshot of a store into an empty one, in one transaction.

    The copy has the traces with the decision log (the same heads verify its chains), sessions, approvals, counters,
    results with their claims, and secrets, which stay encrypted if they were. With `replace`, the target's contents
    are deleted first. `source` and `target` are each the path of a file or the URL of a PostgreSQL database. Rows are
    copied in batches; `on_progress` is called with a table and the number of its rows copied so far. Return the number
    of rows of each table.

    Raises `StoreError` if one of the two cannot be used, or if the target is not empty.
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
    """Iterate over the rows of a table in batches, in key order. The longer the rows, the fewer are in a batch."""
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
