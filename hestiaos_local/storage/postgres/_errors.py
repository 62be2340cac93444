"""Convert psycopg's exceptions to `StoreError`."""

from __future__ import annotations

import psycopg
from psycopg import errors

from hestiaos_local.storage._errors import StoreError, StoreProblem

__all__ = ["STATEMENT_ERRORS", "store_error", "unreachable"]

STATEMENT_ERRORS = (errors.DataError, errors.IntegrityError)
"""Exceptions about the values of a statement, not about the database."""

_BUSY = "is busy", "try again"
_PROBLEMS: tuple[tuple[tuple[type[psycopg.Error], ...], StoreProblem, str, str], ...] = (
    ((errors.DiskFull, errors.OutOfMemory), "full", "cannot grow", "free space on its server's disk"),
    (
        (errors.ReadOnlySqlTransaction,),
        "read_only",
        "may not be written",
        "name the primary server, not one that follows it",
    ),
    ((errors.InsufficientPrivilege,), "read_only", "may not be used so by this user", "grant it what is missing"),
    ((errors.QueryCanceled, errors.LockNotAvailable, errors.TransactionRollback), "locked", *_BUSY),
    (
        (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedFunction, errors.InvalidSchemaName),
        "damaged",
        "lacks tables of the store",
        "restore it, or choose another database",
    ),
    ((errors.DataCorrupted, errors.IndexCorrupted), "damaged", "is damaged", "restore it from a backup"),
)
_WAITING_HELPS = ("locked", "unreachable")


def store_error(name: str, error: psycopg.Error) -> StoreError:
    """Return the `StoreError` for an exception of psycopg."""
    for kinds, problem, what, advice in _PROBLEMS:
        if isinstance(error, kinds):
            return _error(name, what, error, advice, problem)
    if isinstance(error, (errors.OperationalError, errors.InterfaceError)):
        return unreachable(name, error)
    return _error(name, "cannot be used", error, "look into the server's log", "unusable")


def unreachable(name: str, error: BaseException) -> StoreError:
    """Return the `StoreError` for a connection that cannot be opened, or is lost."""
    advice = "start the server, or correct the address, user, password or database"  # libpq tells them by words alone
    return _error(name, "cannot be reached", error, advice, "unreachable")


def _error(name: str, what: str, error: BaseException, advice: str, problem: StoreProblem) -> StoreError:
    why = str(error).strip().partition("\n")[0]
    wait = 1.0 if problem in _WAITING_HELPS else None
    return StoreError(f"{name} {what} ({why}): {advice}", problem=problem, retry_after=wait)
