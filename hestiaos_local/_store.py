"""What the platform remembers, in memory or in one SQLite file: traces, sessions, secrets, the latest results.

Safe for several threads, a file for several processes too. What is stored stays until it is deleted; of the results,
which are there for repeated requests, the newest 1,000.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from threading import RLock
from time import monotonic, sleep
from typing import Any

from hestiaos_proto import TraceResponse, json

__all__ = ["MAX_RESULTS", "Store", "StoreError"]

MAX_RESULTS = 1000
"""How many results are kept for requests that come again."""

_APPLICATION_ID = 0x48657374  # "Hest": says in the file's head whose it is
_SCHEMA_VERSION = 1
_BUSY = 10.0  # seconds to wait for another process that is writing
_FREE_IT = "end what is using it, or choose another file"

_SCHEMA = (
    """CREATE TABLE traces (
        number INTEGER PRIMARY KEY, trace_id TEXT NOT NULL UNIQUE, decision TEXT NOT NULL,
        trace TEXT NOT NULL, command TEXT NOT NULL)""",
    "CREATE INDEX traces_by_decision ON traces (decision)",
    "CREATE TABLE sessions (session_id TEXT PRIMARY KEY, last_used REAL NOT NULL)",
    "CREATE INDEX sessions_by_use ON sessions (last_used)",
    """CREATE TABLE messages (
        number INTEGER PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions, role TEXT NOT NULL,
        text TEXT NOT NULL)""",
    "CREATE INDEX messages_by_session ON messages (session_id)",
    "CREATE TABLE secrets (key TEXT PRIMARY KEY, value TEXT NOT NULL, provider TEXT NOT NULL)",
    """CREATE TABLE results (
        number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL,
        result TEXT NOT NULL)""",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)


class StoreError(ValueError):
    """A store's file cannot be used; the message says in one line which, why, and what to do."""


class Store:
    """The platform's memory: a SQLite file at `path`, which is created if it is missing, or `None`: no file.

    The file, and each directory made for it, is this user's alone: it holds secrets. Raises `StoreError` for a file
    that cannot be used, which is left as it is; every method does so where it cannot be used any more.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.kind = "memory" if path is None else "sqlite"
        self._name = "the store in memory" if path is None else os.fspath(path)
        self._path = path
        self._lock = RLock()
        self._db = _connect(":memory:") if path is None else _open(path)
        self._of_parent: list[sqlite3.Connection] = []
        _stores.add(self)
        self._close = weakref.finalize(self, self._db.close)  # also where nobody closes it

    def _begin_in_child(self) -> None:
        """Be usable after a fork, which SQLite's connections to a file are not: the parent's is not touched again."""
        if self._path is not None and self._close.alive:
            self._of_parent.append(self._db)  # closing it would be an end to what the parent has locked
            self._close.detach()
            self._db = _open(self._path)
            self._close = weakref.finalize(self, self._db.close)

    def close(self) -> None:
        """Close the store. A second time does nothing."""
        with self._lock:
            self._close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Have all that is done inside stored together, or, where an exception leaves it, not at all."""
        with self._using():
            if self._db.in_transaction:  # inside another, which stores it all
                yield
                return
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                yield

    def works(self) -> bool:
        """Whether the store answers."""
        try:
            return self._rows("SELECT 1") == [(1,)]
        except (StoreError, sqlite3.Error):
            return False

    def add_trace(self, trace: TraceResponse, command: Mapping[str, Any]) -> None:
        """Keep the audit of one execution, and the command that was executed."""
        self._write(
            "INSERT INTO traces (trace_id, decision, trace, command) VALUES (?, ?, ?, ?)",
            (trace.trace_id, trace.decision, _to_text(trace.to_wire()), _to_text(dict(command))),
        )

    def trace(self, trace_id: str) -> tuple[TraceResponse, dict[str, Any]] | None:
        """An execution's audit and command."""
        for trace, command in self._rows("SELECT trace, command FROM traces WHERE trace_id = ?", (trace_id,)):
            return TraceResponse.from_wire(_from_text(trace)), _from_text(command)
        return None

    def decisions(self, newest: int = -1) -> dict[str, int]:
        """How often each decision was taken, in all executions or in the newest so many."""
        return dict(
            self._rows(
                "SELECT decision, count(*) FROM (SELECT decision FROM traces ORDER BY number DESC LIMIT ?) "
                "GROUP BY decision",
                (newest,),
            )
        )

    def add_messages(self, session_id: str, now: float, messages: Iterable[tuple[str, str]]) -> None:
        """Add messages, each its role and text, to a session, which begins with its first ones."""
        with self.transaction():
            self._write(
                "INSERT INTO sessions (session_id, last_used) VALUES (?, ?) "
                "ON CONFLICT (session_id) DO UPDATE SET last_used = excluded.last_used",
                (session_id, now),
            )
            for role, text in messages:
                self._write("INSERT INTO messages (session_id, role, text) VALUES (?, ?, ?)", (session_id, role, text))

    def messages(self, session_id: str) -> list[tuple[str, str]]:
        """A session's messages in order, each its role and text."""
        return self._rows("SELECT role, text FROM messages WHERE session_id = ? ORDER BY number", (session_id,))

    def sessions_since(self, time: float) -> int:
        """How many sessions were used since then."""
        count: int = self._rows("SELECT count(*) FROM sessions WHERE last_used >= ?", (time,))[0][0]
        return count

    def set_secret(self, key: str, value: str, provider: str) -> None:
        """Store a secret, in place of the one of this key if there is one."""
        self._write("INSERT OR REPLACE INTO secrets (key, value, provider) VALUES (?, ?, ?)", (key, value, provider))

    def secret(self, key: str) -> str | None:
        """A secret's value."""
        for (value,) in self._rows("SELECT value FROM secrets WHERE key = ?", (key,)):
            return str(value)
        return None

    def delete_secret(self, key: str) -> bool:
        """Delete a secret. Returns whether there was one."""
        return self._write("DELETE FROM secrets WHERE key = ?", (key,)) == 1

    def keep_result(self, key: str, fingerprint: str, result: Any) -> None:
        """Keep what a request came to, for when it comes again; `fingerprint` tells it from another of the same key."""
        with self.transaction():
            self._write(
                "INSERT INTO results (key, fingerprint, result) VALUES (?, ?, ?)", (key, fingerprint, _to_text(result))
            )
            self._write("DELETE FROM results WHERE number <= (SELECT max(number) FROM results) - ?", (MAX_RESULTS,))

    def result(self, key: str) -> tuple[str, Any] | None:
        """The fingerprint of a key's request, and what it came to."""
        for fingerprint, result in self._rows("SELECT fingerprint, result FROM results WHERE key = ?", (key,)):
            return fingerprint, _from_text(result)
        return None

    def _rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        with self._using():
            return self._db.execute(statement, values).fetchall()

    def _write(self, statement: str, values: tuple[Any, ...]) -> int:
        with self._using():
            return self._db.execute(statement, values).rowcount

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Hold the lock. Raises `StoreError` for what is wrong with the file; what is wrong in here stays as it is."""
        try:
            with self._lock:
                yield
        except (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError):
            raise
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self._name} cannot be used ({error}): {_FREE_IT}") from error
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self._name} is damaged ({error}): move it away, or choose another file") from error


_stores: weakref.WeakSet[Store] = weakref.WeakSet()
_held: list[Store] = []


def _before_fork() -> None:
    """Have no thread inside a store while the process is forked: the child would wait for its lock for ever."""
    _held.extend(_stores)
    for store in _held:
        store._lock.acquire()


def _after_fork() -> None:
    while _held:
        _held.pop()._lock.release()


def _in_child() -> None:
    for store in list(_held):
        store._begin_in_child()
    _after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _to_text(value: Any) -> str:
    return json.dumps(value).decode()


def _from_text(text: str) -> Any:
    return json.loads(text.encode())


def _connect(database: str) -> sqlite3.Connection:
    """A connection whose database has our schema. Raises `StoreError` without a path for another's, `sqlite3.Error`."""
    # No implicit transactions: they begin where `transaction` says so. The lock orders the threads.
    db = sqlite3.connect(database, timeout=_BUSY, isolation_level=None, check_same_thread=False)
    try:
        with db:
            db.execute("BEGIN")  # what is read now is one state of the file, whatever another process does to it
            made = _is_ours(db)
        if not made:
            db.execute("BEGIN IMMEDIATE")
            with db:
                if not _is_ours(db):  # another process may have been faster
                    for statement in _SCHEMA:
                        db.execute(statement)
        _use_wal(db)
    except BaseException:
        db.close()
        raise
    return db


def _use_wal(db: sqlite3.Connection) -> None:
    """Let readers and a writer not wait for each other."""
    until = monotonic() + _BUSY
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:  # several do so at once, where SQLite does not wait by itself
            if monotonic() > until:
                raise
            sleep(0.01)


def _is_ours(db: sqlite3.Connection) -> bool:
    """Whether the database has our schema already; false for an empty one."""
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == _APPLICATION_ID and version > _SCHEMA_VERSION:
        raise StoreError("was written by a newer version: install that version, or choose another file")
    if application != _APPLICATION_ID and (application or version or tables):
        raise StoreError("is the database of another program: choose another file")
    return bool(application)


def _open(path: str | os.PathLike[str]) -> sqlite3.Connection:
    name = os.fspath(path)
    if not name:
        raise StoreError("the store's path is empty: name a file")
    file = Path(name).absolute()
    try:
        _make(file)
        db = _connect(str(file))
        try:
            _protect(file.resolve())
        except BaseException:
            db.close()
            raise
        return db
    except StoreError as error:
        raise StoreError(f"{name} {error}") from None
    except PermissionError:
        raise StoreError(f"{name} may not be written by this user: choose another file") from None
    except (OSError, ValueError) as error:  # a ValueError for a path that no file can have
        why = error.strerror if isinstance(error, OSError) else error
        raise StoreError(f"{name} cannot be opened ({why}): choose another file") from None
    except sqlite3.OperationalError as error:
        raise StoreError(f"{name} cannot be used ({error}): {_FREE_IT}") from None
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{name} is no SQLite database ({error}): choose another file") from None


def _make(file: Path) -> None:
    """Make sure of a file that SQLite may write to."""
    for parent in reversed([parent for parent in file.parents if not parent.exists()]):
        parent.mkdir(mode=0o700, exist_ok=True)
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        # Not opened: closing it would end the locks that another store of this process has on it.
        status = file.stat()
        if S_ISDIR(status.st_mode):
            raise StoreError("is a directory: name a file in it") from None
        if not S_ISREG(status.st_mode):
            raise StoreError("is no file: choose another one") from None
        if status.st_size == 1:  # SQLite takes that for an empty file
            raise StoreError("is no SQLite database: choose another file") from None
        if not os.access(file, os.R_OK | os.W_OK):
            raise PermissionError from None


def _protect(file: Path) -> None:
    """Take from others what they may do with a file that was there before, and with what SQLite keeps beside it."""
    for each in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        try:
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)
        except FileNotFoundError:  # SQLite keeps it only while it needs it
            pass
        except PermissionError:
            raise StoreError("may be read by others, and is another user's: choose another file") from None
