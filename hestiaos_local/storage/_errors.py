"""`StoreError`, and how SQLite's errors are translated into it."""

from __future__ import annotations

import sqlite3
from typing import Literal

__all__ = ["STATEMENT_ERRORS", "StoreError", "StoreProblem", "store_error"]

StoreProblem = Literal[
    "locked", "full", "read_only", "replaced", "damaged", "foreign", "newer", "encrypted", "unreachable", "unusable"
]

STATEMENT_ERRORS = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError)
"""SQLite's errors about a statement or its values. They are not about the file, and are not translated."""


class StoreError(ValueError):
    """A store cannot be used. The message names the store, the reason and a remedy in one line.

    `problem` is the reason for programs:

    - `"locked"`: other processes kept it locked for longer than the timeout;
    - `"full"`: its disk is full;
    - `"read_only"`: this user may not write it;
    - `"replaced"`: the file was removed or replaced while it was in use;
    - `"damaged"`: its contents are damaged;
    - `"foreign"`: it belongs to another program;
    - `"newer"`: a newer version wrote it;
    - `"encrypted"`: its secrets are encrypted, and the key is missing or wrong;
    - `"unreachable"`: its server cannot be reached;
    - `"unusable"`: any other reason.

    `retry_after` is a delay in seconds if retrying may help, else None.
    """

    __module__ = "hestiaos_local"  # where it is imported from, as tracebacks show it

    def __init__(self, message: str, *, problem: StoreProblem = "unusable", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.problem: StoreProblem = problem
        self.retry_after = retry_after


_PROBLEMS: dict[int, tuple[StoreProblem, str, str]] = {
    sqlite3.SQLITE_BUSY: ("locked", "is locked by another program", "try again, or end what is using it"),
    sqlite3.SQLITE_FULL: ("full", "cannot grow", "free space on its disk"),
    sqlite3.SQLITE_READONLY: (
        "read_only",
        "may not be written",
        "allow this user to write it and its directory, on a file system that is not read-only",
    ),
    sqlite3.SQLITE_IOERR: ("unusable", "cannot be read or written", "look after its disk and file system"),
    sqlite3.SQLITE_CORRUPT: ("damaged", "is damaged", "move it away, or choose another file"),
    sqlite3.SQLITE_NOTADB: ("foreign", "is not a SQLite database", "choose another file"),
}
_OTHER: tuple[StoreProblem, str, str] = ("unusable", "cannot be used", "end what is using it, or choose another file")
_PRIMARY = 0xFF  # an extended result code has its primary one in the low byte


def store_error(name: str, error: sqlite3.DatabaseError) -> StoreError:
    """Return the `StoreError` for an error of SQLite."""
    code: int = getattr(error, "sqlite_errorcode", 0)  # none for text that is not UTF-8
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # there is no space for the log's index
        code = sqlite3.SQLITE_FULL
    problem, what, advice = _PROBLEMS.get(code & _PRIMARY, _OTHER)
    return StoreError(
        f"{name} {what} ({error}): {advice}", problem=problem, retry_after=1.0 if problem == "locked" else None
    )
