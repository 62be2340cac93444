"""The connections of one database: one that writes and, to a file, one that reads."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from time import monotonic, sleep

from hestiaos_local.storage._errors import StoreError, store_error
from hestiaos_local.storage._files import Identity, beside, identity, make_file, protect_file
from hestiaos_local.storage._schema import prepare

__all__ = ["Connections"]


class Connections:
    """To `file`, or, where it is `None`, to a database in memory, which goes with them.

    `identity` is that of the file that was opened, `log_identity` that of its write-ahead log.
    """

    writer: sqlite3.Connection
    reader: sqlite3.Connection

    def __init__(self, name: str, file: Path | None, busy_timeout: float) -> None:
        self.is_open = False
        self.identity: Identity | None = None
        self.log_identity: Identity | None = None
        self._name = name
        self._file = file
        self._busy_timeout = busy_timeout
        self._settings: tuple[bool, int] | None = None  # what `set_up` has set

    def open(self, *, create: bool) -> None:
        """Open the database, make its tables or bring them up to date; with `create`, make the file.

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
        except (OSError, ValueError) as error:  # a ValueError for a path that no file can have
            why = error.strerror if isinstance(error, OSError) else error
            raise StoreError(f"{self._name} cannot be opened ({why}): choose another file") from None

    def close(self) -> None:
        """Close them. A second time does nothing."""
        if self.is_open:
            self.is_open = False
            self.reader.close()
            self.writer.close()

    def set_up(self, *, durable: bool, busy_timeout: float) -> None:
        """Set what the next transaction needs; the file's writer may wait for others for `busy_timeout` seconds."""
        if self._file is None:
            return
        settings = durable, max(0, round(busy_timeout * 10)) * 100  # tenths of a second: there are few such statements
        if settings != self._settings:
            self.writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self.writer.execute(f"PRAGMA busy_timeout = {settings[1]}")
            self._settings = settings

    def _open_file(self, file: Path, *, create: bool) -> None:
        if create:
            make_file(self._name, file)
        path = f"{file.as_uri()}?mode=rw"  # SQLite is to make no file
        writer = self._connect(path, "PRAGMA secure_delete = ON")
        try:
            prepare(self._name, writer)
            self._use_log(writer)
            writer.execute(
                "SELECT count(*) FROM sqlite_master"
            ).fetchall()  # now the log and its index are there, and have room
            protect_file(self._name, file)
            self.reader = self._connect(path, "PRAGMA query_only = ON")
        except BaseException:
            writer.close()
            raise
        self.writer, self._settings, self.is_open = writer, None, True
        self.identity, self.log_identity = identity(file), identity(beside(file)[0])

    def _connect(self, database: str, setting: str) -> sqlite3.Connection:
        # No implicit transactions: they begin where `Database.write` says so, and its locks order the threads.
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
        """Let readers and a writer not wait for each other."""
        until = monotonic() + self._busy_timeout
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:  # several do so at once, where SQLite does not wait by itself
                if monotonic() > until:
                    raise
                sleep(0.01)
