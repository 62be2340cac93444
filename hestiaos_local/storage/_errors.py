"""The problems of a store, and SQLite's errors for them."""

from __future__ import annotations

import sqlite3
from typing import Literal

__all__ = ["STATEMENT_ERRORS", "StoreError", "StoreProblem", "store_error"]

StoreProblem = Literal[
    "locked", "full", "read_only", "replaced", "damaged", "foreign", "newer", "encrypted", "unreachable", "unusable"
]

STATEMENT_ERRORS = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError)
"""Errors of SQLite that are about a statement or its values, not about the file."""


class StoreError(ValueError):
    """A store cannot be used; the message says in one line which, why, and what to do.

    `problem` is for programs: others use it and it had to wait too long (`"locked"`), the disk is `"full"`, it may not
    be written (`"read_only"`), the file was removed or `"replaced"` while it was in use, it is `"damaged"`, another
    program's (`"foreign"`), of a `"newer"` version, its secrets are `"encrypted"` with a key that is not at hand, its
    server is `"unreachable"`, or it is `"unusable"` for another reason. `retry_after` is in seconds where waiting may
    help, else `None`.
    """

    def __init__(self, message: str, *, problem: StoreProblem = "unusable", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.problem: StoreProblem = problem
        self.retry_after = retry_after


_PROBLEMS: dict[int, tuple[StoreProblem, str, str]] = {
    sqlite3.SQLITE_BUSY: ("locked", "is locked by another program", "try again, or end what is using it"),
    sqlite3.SQLITE_FULL: ("full", "cannot grow", "free space on its disk"),
    sqlite3.SQLITE_READONLY: ("read_only", "may not be written", "allow this user to write it and its directory"),
    sqlite3.SQLITE_CORRUPT: ("damaged", "is damaged", "move it away, or choose another file"),
    sqlite3.SQLITE_NOTADB: ("foreign", "is not a SQLite database", "choose another file"),
}
_OTHER: tuple[StoreProblem, str, str] = ("unusable", "cannot be used", "end what is using it, or choose another file")
_PRIMARY = 0xFF  # an extended result code has its primary one in the low byte


def store_error(name: str, error: sqlite3.DatabaseError) -> StoreError:
    """The `StoreError` for what SQLite says of the file."""
    code: int = getattr(error, "sqlite_errorcode", 0)  # text that is not UTF-8 is an error of Python's module, without
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # what SQLite keeps beside the file cannot grow
        code = sqlite3.SQLITE_FULL
    problem, what, advice = _PROBLEMS.get(code & _PRIMARY, _OTHER)
    return StoreError(
        f"{name} {what} ({error}): {advice}", problem=problem, retry_after=1.0 if problem == "locked" else None
    )
