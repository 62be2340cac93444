"""Our statements on a connection to PostgreSQL, and the transactions around them, in as few round trips as can be.

In a transaction statements are sent as they come (libpq's pipeline mode), and the server's answers are waited for where
one is looked at, and at the end.
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
    """Executes statements on one connection, and waits for each."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, statement: str, parameters: Parameters = (), /) -> Rows:
        return self._connection.execute(_translated(statement), parameters)

    def executemany(self, statement: str, parameters: Iterable[Parameters], /) -> None:
        with self._connection.cursor() as cursor:
            cursor.executemany(_translated(statement), parameters)


class PipelinedTransaction(PostgresTransaction):
    """Executes statements in a pipeline, and waits where rows are looked at.

    It is synchronized then (a Sync message, not a Flush): so the server knows that the client has to go on, and ends a
    transaction whose client does not (`idle_in_transaction_session_timeout`).
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
    """The rows of a statement, once there is an answer: `answered` waits for it."""

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
    """A transaction that is committed at the end of its block, which waits for the commit; else nothing is stored.

    psycopg's own one waits for its beginning, and counts its levels, which an interrupt can disturb.
    """
    try:
        with connection.pipeline() as pipeline:
            try:
                connection.execute("BEGIN")
                yield PipelinedTransaction(connection, pipeline)
                connection.execute("COMMIT")  # not done where a statement before it has failed
            except BaseException:
                with suppress(psycopg.Error):  # what was sent before is answered, or the connection is lost
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
    """With psycopg's placeholders. No statement of ours has another colon, question mark or percent sign."""
    return _PLACEHOLDER.sub(lambda found: f"%({found[1]})s" if found[1] else "%s", statement).encode()
