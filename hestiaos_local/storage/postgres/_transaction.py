"""Execute statements and transactions on a connection to PostgreSQL, with few round trips.

Inside a transaction, statements are sent without waiting (libpq's pipeline mode). The results are waited for when one
of them is read, and at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeGuard

import psycopg

from hestiaos_local.storage._database import Parameters, Rows

__all__ = ["PipelinedTransaction", "PostgresTransaction", "transaction"]

_PLACEHOLDER = re.compile(r"\?|:(\w+)")


class PostgresTransaction:
    """Executes statements on a connection, and waits for each of them."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Parameters = (), /) -> Rows:
        return self._connection.execute(_translated(statement), parameters)

    def executemany(self, statement: str, parameters: Iterable[Parameters], /) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(statement), parameters)


class PipelinedTransaction(PostgresTransaction):
    """Executes statements in a pipeline, and waits when rows are read.

    The pipeline is synchronized by a Sync message, not a Flush, so that the server counts the transaction as idle, and
    can end it if its client stops (`idle_in_transaction_session_timeout`).
    """

    def __init__(self, connection: psycopg.Connection[Any], pipeline: psycopg.Pipeline) -> None:
        super().__init__(connection)
        self._pipeline = pipeline
        self._waiting = False

    def execute(self, statement: str, parameters: Parameters = (), /) -> Rows:
        self._waiting = True
        return _PipelinedRows(super().execute(statement, parameters), self._answered)

    def _answered(self) -> None:
        if self._waiting:
            self._waiting = False
            self._pipeline.sync()


class _PipelinedRows:
    """The rows of a statement. `answered` waits for the result."""

    def __init__(self, rows: Rows, answered: Callable[[], None]) -> None:
        self._rows = rows
        self._answered = answered

    @property
    def rowcount(self) -> int:
        self._answered()
        return self._rows.rowcount

    def fetchone(self) -> Any:
        self._answered()
        return self._rows.fetchone()

    def fetchall(self) -> list[Any]:
        self._answered()
        return self._rows.fetchall()

    def __iter__(self) -> Iterator[Any]:
        self._answered()
        return iter(self._rows)

    def close(self) -> None:
        self._rows.close()


@contextmanager
def transaction(connection: psycopg.Connection[Any]) -> Iterator[PipelinedTransaction]:
    """Provide a transaction, which is committed at the end of the block, or rolled back if an exception is raised.

    psycopg's own waits for BEGIN, and keeps a count of nested transactions, which an interrupt can corrupt.
    """
    try:
        with connection.pipeline() as pipeline:
            try:
                connection.execute("BEGIN")
                yield PipelinedTransaction(connection, pipeline)
                connection.execute("COMMIT")  # skipped by the server if a statement before it failed
            except BaseException:
                with suppress(psycopg.Error):  # read the results of what was sent, unless the connection is lost
                    pipeline.sync()
                raise
    except BaseException as error:
        with suppress(psycopg.Error):  # the connection is lost, and the transaction with it
            connection.rollback()
        if isinstance(error, psycopg.Error) and _is_interrupt(error.__context__):  # it came as the pipeline was left,
            raise error.__context__ from None  # which raised an error of its own then
        raise


def _is_interrupt(error: BaseException | None) -> TypeGuard[BaseException]:
    return error is not None and not isinstance(error, Exception)


@lru_cache(maxsize=256)
def _translated(statement: str) -> bytes:
    """Return a statement with psycopg's placeholders. Ours have no other colon, question mark or percent sign."""
    return _PLACEHOLDER.sub(lambda found: f"%({found[1]})s" if found[1] else "%s", statement).encode()
