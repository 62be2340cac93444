"""One SQLite database, in memory or in a file: its transactions, and which thread or process may write when."""

from __future__ import annotations

import os
import sqlite3
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from time import monotonic
from types import FrameType
from typing import Any, Literal

from hestiaos_local.governance import CHAIN_SIZE
from hestiaos_local.storage._connections import Connections
from hestiaos_local.storage._database import PROBE, Dialect, Transaction
from hestiaos_local.storage._errors import STATEMENT_ERRORS, StoreError, StoreProblem, store_error

__all__ = ["SQLiteDatabase"]

# Columns are cast to bytes, since a log that was tampered with may contain values of any type. The last column is
# whether the index refers to the entry: to a decision by its trace, to an outcome by the trace that it ends, if stored.
_LOG_PAGE = f"""
SELECT name, CAST(number AS INTEGER), CAST(hash AS BLOB), NULL, NULL FROM chain WHERE chain = :chain
UNION ALL SELECT 'next', min(place), NULL, NULL, NULL FROM (
    SELECT chain AS place FROM chain WHERE chain > :chain AND typeof(chain) = 'integer'
    UNION ALL SELECT min(number) / {CHAIN_SIZE} FROM log WHERE number >= :until)
UNION ALL SELECT * FROM (
    SELECT NULL, log.number, CAST(hash AS BLOB), CAST(record AS BLOB), CASE
        WHEN NOT json_valid(record) THEN 1
        WHEN size IS NOT length(CAST(record AS BLOB)) THEN 0
        WHEN decided_at IS NULL THEN traces.number IS NULL AND NOT EXISTS (
            SELECT 1 FROM traces AS ended
            WHERE ended.trace_id = json_extract(record, '$.trace_id') AND ended.finished IS NOT log.number)
        ELSE traces.trace_id IS json_extract(record, '$.trace_id')
            AND traces.decision IS json_extract(record, '$.decision')
            AND abs(decided_at - json_extract(record, '$.decided_at')) < 0.001
    END
    FROM log LEFT JOIN traces USING (number) WHERE log.number > :after AND log.number < :until
    ORDER BY log.number LIMIT :limit)
"""

# There is one writer, and so one chain. Of a store that was copied from a database of several, the last one goes on.
_LAST_HEAD = (
    "SELECT chain, number, hash, EXISTS (SELECT 1 FROM log WHERE log.number > head.number "
    f"AND log.number < (head.chain + 1) * {CHAIN_SIZE}) FROM chain AS head "
    "WHERE name = 'head' AND chain = (SELECT coalesce(max(CAST(chain AS INTEGER)), 0) FROM chain)"
)

_TRANSIENT: frozenset[StoreProblem] = frozenset({"locked", "full"})  # these pass without reopening the file


class SQLiteDatabase:
    """A SQLite database. Threads may share it, and processes may share its file, also across a fork.

    A reading and a writing connection and SQLite's write-ahead log keep readers from waiting for writers. Writers wait
    for each other, and for those of other processes, up to `busy_timeout` seconds. A file that was removed or replaced
    is not written any more. Once it is back, or another store has its name, that file is used.

    Raises `StoreError` for a file that cannot be used, which is not changed. So does every method later.
    """

    dialect = Dialect(record="CAST({} AS BLOB)", log_page=_LOG_PAGE)

    def __init__(self, path: str | os.PathLike[str] | None, busy_timeout: float) -> None:
        self.kind: Literal["memory", "sqlite"] = "memory" if path is None else "sqlite"
        self.name = "the store in memory" if path is None else os.fspath(path)
        if not self.name:
            raise StoreError("the store's path is empty: name a file")
        file = None if path is None else Path(path).absolute()
        self._busy_timeout = busy_timeout
        self._closed = False
        self.chain: int = 0
        self._locked_until = 0.0  # after a writer has timed out, others do not wait before this time
        self._write_lock = RLock()
        self._writer: FrameType | None = None  # the frame that entered the open write
        # Acquired after the write lock if both are needed.
        self._read_lock = self._write_lock if path is None else RLock()
        self._connections = Connections(self.name, file, busy_timeout)
        self._connections.open(create=True)
        self._finalizer = weakref.finalize(self, self._connections.close)  # if it is never closed
        _databases.add(self)

    def close(self) -> None:
        """Close the connections. Closing them again does nothing."""
        with self._write_lock, self._read_lock:
            self._closed = True
            if self._connections.is_open and not self._connections.is_current():
                self._connections.truncate_log()  # SQLite does so on closing only if the file still has its name
            self._finalizer()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Enter a context with a connection to read from. Raises `ValueError` if the database is closed."""
        try:
            while True:
                with self._read_lock:
                    if self._connections.is_current():
                        yield self._connections.reader
                        return
                self._reopen()
        except STATEMENT_ERRORS:
            raise
        except sqlite3.DatabaseError as error:
            raise self._failed(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Enter a context with a connection that sees one state. Other readers of this process wait meanwhile."""
        with self.read() as db:
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.rollback()

    @contextmanager
    def write(
        self, *locks: str, durable: bool = True, appends: bool = False, busy_timeout: float | None = None
    ) -> Iterator[sqlite3.Connection]:
        """Enter a transaction. There is one at a time. Raises `ValueError` if the database is closed."""
        writer = sys._getframe(2)  # the frame of the `with` statement; frame 1 is contextlib's
        until = monotonic() + (self._busy_timeout if busy_timeout is None else busy_timeout)
        try:
            while True:
                with self._write_lock:
                    if self._connections.is_current():
                        db = self._connections.writer
                        if db.in_transaction and self._is_inside_a_write(writer):  # by a finalizer during a write
                            yield db
                            return
                        if db.in_transaction:  # left open by an interrupt
                            db.rollback()
                        self._connections.set_up(durable=durable, busy_timeout=self._time_left(until))
                        self._writer = writer
                        with self._transaction(db, writer):
                            self._locked_until = 0.0
                            yield db
                        return
                self._reopen()
        except STATEMENT_ERRORS:
            raise
        except sqlite3.DatabaseError as error:
            failed = self._failed(error)
            if failed.problem == "locked" and busy_timeout is None:
                self._locked_until = monotonic() + self._busy_timeout
            raise failed from error

    def _time_left(self, until: float) -> float:
        """Return how long, in seconds, a writer may wait for other processes.

        After one has timed out, the others that are queued here do not wait in turn.
        """
        now = monotonic()
        return 0.0 if now < self._locked_until else until - now

    @contextmanager
    def _transaction(self, db: sqlite3.Connection, writer: FrameType) -> Iterator[None]:
        """Commit or roll back the transaction at the end, unless a later write has replaced it.

        An interrupt that arrives just before the end can leave the transaction open. The next write then rolls it back
        and begins its own, while this generator may end only with the traceback that refers to it.
        """
        try:
            db.execute("BEGIN IMMEDIATE")
            yield
            if self._writer is writer:
                db.commit()
        except BaseException:
            if self._writer is writer:
                db.rollback()
            raise
        finally:
            if self._writer is writer:
                self._writer = None

    def _is_inside_a_write(self, frame: FrameType | None) -> bool:
        """Return whether this frame was called from within the open write, as a finalizer's is."""
        assert frame is not None, "the caller has a frame"
        frame = frame.f_back
        while frame is not None and frame is not self._writer:
            frame = frame.f_back
        return frame is not None

    def head(self, db: Transaction) -> Any:
        row = db.execute(_LAST_HEAD).fetchone()
        if row is not None:
            self.chain = row[0]
        return row

    def try_lock(self, db: Transaction, name: str) -> Callable[[], bool]:
        """Whoever writes is alone."""
        return lambda: True

    def rewrite(self) -> None:
        """Rewrite the file, so that no deleted data remains in it."""
        with self._write_lock:
            try:
                self._connections.writer.execute("VACUUM")
            except sqlite3.DatabaseError as error:
                raise self._failed(error) from error
            self._connections.truncate_log()

    def truncate_log(self) -> bool:
        """Truncate the write-ahead log, so that no deleted data remains in it. Return False if it is in use."""
        with self._write_lock:
            return self._connections.truncate_log()

    def works(self) -> bool:
        """Return whether the database can be read and written, within about a second."""
        if not self._write_lock.acquire(timeout=PROBE):
            return False
        try:
            with self.write(durable=False, busy_timeout=PROBE) as db:
                db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', '')")
            with self.read() as db:
                return db.execute("SELECT name FROM meta WHERE name = 'probe'").fetchall() == [("probe",)]
        except ValueError:  # a `StoreError`, or the database is closed
            return False
        finally:
            self._write_lock.release()

    def _failed(self, error: sqlite3.DatabaseError) -> StoreError:
        failed = store_error(self.name, error)
        if failed.problem not in _TRANSIENT:
            self._connections.mark_failed()  # the next use reopens the file
        return failed

    def _reopen(self) -> None:
        """Reopen the file, unless another thread has done so."""
        with self._write_lock, self._read_lock:
            if self._closed:
                raise ValueError(f"{self.name} is closed")
            if not self._connections.is_current():
                self._connections.reopen()

    def _before_fork(self) -> None:
        """Wait until no thread uses the database, and close a file: the child could use neither locks nor connections.

        SQLite's file locks are not inherited by the child (https://sqlite.org/howtocorrupt.html, section 2.6).
        """
        self._write_lock.acquire()
        self._read_lock.acquire()
        if self.kind == "sqlite":
            self._connections.close()

    def _after_fork(self) -> None:
        self._read_lock.release()
        self._write_lock.release()


_databases: weakref.WeakSet[SQLiteDatabase] = weakref.WeakSet()
_held: list[SQLiteDatabase] = []


def _before_fork() -> None:
    _held.extend(_databases)
    for database in _held:
        database._before_fork()


def _after_fork() -> None:
    while _held:
        _held.pop()._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
