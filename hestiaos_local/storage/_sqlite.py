"""One SQLite database, in memory or in a file: its connections, who may use them when, and what becomes of its file."""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from time import monotonic
from types import FrameType
from typing import Literal

from hestiaos_local.governance import CHAIN_SIZE
from hestiaos_local.storage._connections import Connections
from hestiaos_local.storage._database import PROBE, Dialect, Transaction
from hestiaos_local.storage._errors import STATEMENT_ERRORS, StoreError, StoreProblem, store_error
from hestiaos_local.storage._files import beside, identity

__all__ = ["SQLiteDatabase"]

_log = logging.getLogger("hestiaos_local")

# Whatever was put into it can be read as bytes. The last column is whether the index finds an entry: a decision by its
# trace, and an outcome by the trace that it ends, if that is kept.
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
_LAST_CHAIN = "SELECT coalesce(max(CAST(chain AS INTEGER)), 0) FROM chain"

_TRANSIENT: frozenset[StoreProblem] = frozenset({"locked", "full"})  # these pass without opening the file again


class SQLiteDatabase:
    """Safe for several threads; a file for several processes, and before and after a fork.

    Reading and writing have a connection each, so that readers wait for no writer (SQLite's write-ahead log). Writers
    wait for each other, and for those of other processes, up to `busy_timeout` seconds. A file that was removed or
    replaced is not written any more; once it is back, or another store stands in its place, that is used.

    Raises `StoreError` for a file that cannot be used, which is left as it is, and so does each use later on.
    """

    dialect = Dialect(record="CAST({} AS BLOB)", log_page=_LOG_PAGE)

    def __init__(self, path: str | os.PathLike[str] | None, busy_timeout: float) -> None:
        self.kind: Literal["memory", "sqlite"] = "memory" if path is None else "sqlite"
        self.name = "the store in memory" if path is None else os.fspath(path)
        if not self.name:
            raise StoreError("the store's path is empty: name a file")
        self._file = None if path is None else Path(path).absolute()
        self._busy_timeout = busy_timeout
        self._closed = False
        self.chain: int = 0
        self._locked_until = 0.0  # a writer has waited for others in vain, and the next ones do not wait
        self._write_lock = RLock()
        self._writer: FrameType | None = None  # what is inside a write
        self._read_lock = self._write_lock if path is None else RLock()  # taken after the other where both are needed
        self._connections = Connections(self.name, self._file, busy_timeout)
        self._connections.open(create=True)
        self._finalizer = weakref.finalize(self, self._connections.close)  # also where it is not closed
        _databases.add(self)

    def close(self) -> None:
        """Close the connections. A second time does nothing."""
        with self._write_lock, self._read_lock:
            self._closed = True
            if self._connections.is_open and not self._is_current():
                self.truncate_log()  # SQLite does so only where the file has its name still
            self._finalizer()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection to read from. Raises `ValueError` once it is closed."""
        try:
            while True:
                with self._read_lock:
                    if self._is_current():
                        yield self._connections.reader
                        return
                self._reopen()
        except STATEMENT_ERRORS:
            raise
        except sqlite3.DatabaseError as error:
            raise self._failed(error) from error

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Other readers of this process wait meanwhile."""
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
        """A connection inside a transaction; there is one at a time. Raises `ValueError` once it is closed."""
        writer = sys._getframe(2)  # that of the `with` statement, below contextlib's
        until = monotonic() + (self._busy_timeout if busy_timeout is None else busy_timeout)
        try:
            while True:
                with self._write_lock:
                    if self._is_current():
                        db = self._connections.writer
                        if db.in_transaction and self._is_inside_a_write(writer):  # a finalizer has come in here
                            yield db
                            return
                        if db.in_transaction:  # an interrupt has left it open
                            db.rollback()
                        self._connections.set_up(durable=durable, busy_timeout=self._time_left(until))
                        self._writer = writer
                        with self._transaction(db, writer):
                            if appends:
                                (self.chain,) = db.execute(_LAST_CHAIN).fetchone()
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
        """How long a writer may wait for other processes. Those who wait for each other here would do so in turn."""
        now = monotonic()
        return 0.0 if now < self._locked_until else until - now

    @contextmanager
    def _transaction(self, db: sqlite3.Connection, writer: FrameType) -> Iterator[None]:
        """A transaction that is stored or undone, unless another has taken the place of this writer's meanwhile.

        An interrupt can leave it open where it is about to end. It is undone by the next write then; its own end comes
        with that of the traceback.
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
        """Whether what runs is called by what writes, as a finalizer is."""
        assert frame is not None, "it is the caller's"
        frame = frame.f_back
        while frame is not None and frame is not self._writer:
            frame = frame.f_back
        return frame is not None

    def try_lock(self, db: Transaction, name: str) -> bool:
        """Whoever writes is alone."""
        return True

    def rewrite(self) -> None:
        """Write the file anew, so that nothing of what was deleted is left in it."""
        with self._write_lock:
            try:
                self._connections.writer.execute("VACUUM")
            except sqlite3.DatabaseError as error:
                raise self._failed(error) from error
            self.truncate_log()

    def truncate_log(self) -> bool:
        """Leave nothing of what was deleted in the write-ahead log. False where this has to wait for a later one."""
        with self._write_lock:
            try:
                ((busy, _, _),) = self._connections.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.DatabaseError as error:
                _log.warning("the log of %s cannot be written into it now: %s", self.name, error)
                return False
        return not busy

    def works(self) -> bool:
        """Whether it can be read and written, without waiting for much longer than a second."""
        if not self._write_lock.acquire(timeout=PROBE):
            return False
        try:
            with self.write(durable=False, busy_timeout=PROBE) as db:
                db.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', '')")
            with self.read() as db:
                return db.execute("SELECT name FROM meta WHERE name = 'probe'").fetchall() == [("probe",)]
        except ValueError:  # a `StoreError`, or it is closed
            return False
        finally:
            self._write_lock.release()

    def _is_current(self) -> bool:
        """Whether the connections are open, and to the file that has the name now."""
        connections = self._connections
        return connections.is_open and (self._file is None or identity(self._file) == connections.identity)

    def _failed(self, error: sqlite3.DatabaseError) -> StoreError:
        failed = store_error(self.name, error)
        if failed.problem not in _TRANSIENT:
            self._connections.identity = None  # so that the next use opens the file again
        return failed

    def _reopen(self) -> None:
        """Open the file anew: after a fork, a failure, or where another file has its name now."""
        with self._write_lock, self._read_lock:
            if self._closed:
                raise ValueError(f"{self.name} is closed")
            if self._is_current():  # another thread was faster
                return
            assert self._file is not None, "memory is open until it is closed"
            if identity(self._file) is None:
                raise self._unseen(self._file)
            if self._connections.is_open and self._connections.identity is not None:
                self._leave_replaced(self._file)
            self._connections.close()
            self._connections.open(create=False)

    def _leave_replaced(self, file: Path) -> None:
        """Bring what was written into the file that lost its name, and remove its log from beside the one that has it.

        SQLite does neither, but finds a log by its name, and writes what is in it into whatever file is there
        (https://sqlite.org/howtocorrupt.html, section 2.4).
        """
        if not self.truncate_log():
            raise self._replaced("end every program that uses it, so that what they wrote gets into their file")
        log, index = beside(file)
        if identity(log) == self._connections.log_identity:
            log.unlink(missing_ok=True)  # another process may be as far
            index.unlink(missing_ok=True)

    def _unseen(self, file: Path) -> StoreError:
        try:
            file.stat()
        except PermissionError:
            return StoreError(
                f"{self.name} is in a directory that this user may not enter any more: allow it to", problem="read_only"
            )
        except OSError:  # as is to be expected
            pass
        return self._replaced("put it back, or end what is using it")

    def _replaced(self, advice: str) -> StoreError:
        return StoreError(f"{self.name} was removed or replaced while it was in use: {advice}", problem="replaced")

    def _before_fork(self) -> None:
        """Let no thread be inside, and have no file open: the child could use neither locks nor connections.

        SQLite's own locks are not those of the child (https://sqlite.org/howtocorrupt.html, section 2.6).
        """
        self._write_lock.acquire()
        self._read_lock.acquire()
        if self._file is not None:
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
