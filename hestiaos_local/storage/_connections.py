"""The SQLite connections of one database, and whether its file and log are still those that were opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from time import monotonic, sleep

from hestiaos_local._logging import logger
from hestiaos_local.storage._errors import StoreError, store_error
from hestiaos_local.storage._files import Identity, beside, identity, make_file, protect_file
from hestiaos_local.storage._schema import prepare

__all__ = ["Connections"]


class Connections:
    """A writer and a reader of `file`, or one connection to a database in memory if `file` is None.

    The database in memory is lost when they are closed. Nothing here is locked: the caller serializes the threads.
    """

    writer: sqlite3.Connection
    reader: sqlite3.Connection

    def __init__(self, name: str, file: Path | None, busy_timeout: float) -> None:
        self.is_open = False
        self._opened: Identity | None = None  # the file that was opened
        self._opened_log: Identity | None = None  # and its log
        self._name = name
        self._file = file
        self._log: Path | None = None  # its write-ahead log
        self._busy_timeout = busy_timeout
        self._settings: tuple[bool, int] | None = None  # the pragmas that `set_up` last set

    def open(self, *, create: bool) -> None:
        """Open the database and create or migrate its tables. Create the file if it is missing and `create` is true.

        Raises `StoreError`.
        """
        if self._file is None:
            self.writer = self.reader = self._connect(":memory:", "PRAGMA secure_delete = ON")
            prepare(self._name, self.writer)
            self.is_open = True
            return
        try:
            self._open_file(self._file, create=create)
        except sqlite3.DatabaseError as error:
            raise store_error(self._name, error) from None
        except StoreError:
            raise
        except (OSError, ValueError) as error:  # ValueError: the path cannot be a file's, such as one with a NUL
            why = error.strerror if isinstance(error, OSError) else error
            raise StoreError(f"{self._name} cannot be opened ({why}): choose another file") from None

    def close(self) -> None:
        """Close the connections. Closing them again does nothing."""
        if self.is_open:
            self.is_open = False
            self.reader.close()
            self.writer.close()

    def is_current(self) -> bool:
        """Return whether the connections are open, to the file and log of these names now, and have not failed.

        SQLite continues to write to a log that was removed, in which acknowledged changes would be lost.
        """
        if self._file is None or self._log is None or not self.is_open:
            return self.is_open
        return self._opened == identity(self._file) is not None and identity(self._log) == self._opened_log

    def mark_failed(self) -> None:
        """Stop using the connections: they are not current any more."""
        self._opened = None

    def reopen(self) -> None:
        """Open the file again after a fork, after a failure, or because it or its log was removed or replaced.

        Raises `StoreError`.
        """
        assert self._file is not None, "a database in memory stays open until it is closed"
        if identity(self._file) is None:
            raise self._missing(self._file)
        if self.is_open and self._opened is not None:
            self._leave_replaced(self._file)
        self.close()
        self.open(create=False)

    def truncate_log(self) -> bool:
        """Truncate the write-ahead log, so that no deleted data remains in it. Return False if it is in use."""
        try:
            ((busy, _, _),) = self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.DatabaseError as error:
            logger().warning("the write-ahead log of %s cannot be truncated now: %s", self._name, error)
            return False
        return not busy

    def set_up(self, *, durable: bool, busy_timeout: float) -> None:
        """Set the pragmas of the next write, which waits up to `busy_timeout` seconds for other processes."""
        if self._file is None:
            return
        settings = durable, max(0, round(busy_timeout * 10)) * 100  # tenths of a second, so that few statements differ
        if settings != self._settings:
            self.writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self.writer.execute(f"PRAGMA busy_timeout = {settings[1]}")
            self._settings = settings

    def _open_file(self, file: Path, *, create: bool) -> None:
        if create:
            make_file(self._name, file)
        path = f"{file.as_uri()}?mode=rw"  # SQLite must not create a file
        writer = self._connect(path, "PRAGMA secure_delete = ON")
        try:
            prepare(self._name, writer)
            self._use_log(writer)
            # Reading creates the log and its index, and fails if there is no space for them.
            writer.execute("SELECT count(*) FROM sqlite_master").fetchall()
            protect_file(self._name, file)
            self.reader = self._connect(path, "PRAGMA query_only = ON")
        except BaseException:
            writer.close()
            raise
        self.writer, self._settings, self.is_open = writer, None, True
        self._log = beside(file)[0]
        self._opened, self._opened_log = identity(file), identity(self._log)

    def _leave_replaced(self, file: Path) -> None:
        """Complete the file that was opened, which has lost its name, and delete its log next to the new file.

        SQLite does neither. It finds a log by its name, and would apply it to whatever file has that name
        (https://sqlite.org/howtocorrupt.html, section 2.4).
        """
        if not self.truncate_log():
            raise self._replaced("end every program that uses it, so that their changes are written to their file")
        log, index = beside(file)
        if identity(log) == self._opened_log:
            log.unlink(missing_ok=True)  # another process may be deleting them too
            index.unlink(missing_ok=True)

    def _missing(self, file: Path) -> StoreError:
        """Return the error for a file that cannot be found."""
        try:
            file.stat()
        except PermissionError:
            return StoreError(
                f"{self._name} is in a directory that this user may not enter any more: allow it again",
                problem="read_only",
            )
        except OSError:  # the usual case: the file does not exist
            pass
        return self._replaced("put it back, or end what is using it")

    def _replaced(self, advice: str) -> StoreError:
        return StoreError(f"{self._name} was removed or replaced while it was in use: {advice}", problem="replaced")

    def _connect(self, database: str, setting: str) -> sqlite3.Connection:
        # No implicit transactions: `Database.write` begins them, and its locks serialize the threads.
        db = sqlite3.connect(
            database, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            db.execute(setting)
        except BaseException:
            db.close()
            raise
        return db

    def _use_log(self, db: sqlite3.Connection) -> None:
        """Switch to write-ahead logging, with which readers and the writer do not block each other."""
        until = monotonic() + self._busy_timeout
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:  # another process is switching too; SQLite does not wait here by itself
                if monotonic() > until:
                    raise
                sleep(0.01)
