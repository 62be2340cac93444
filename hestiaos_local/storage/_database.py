"""The interface of a database. The store runs the same SQL on each, apart from its `Dialect`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from itertools import chain
from typing import Any, Literal, Protocol

from attrs import frozen

__all__ = ["PROBE", "Database", "Dialect", "Rows", "Statement", "Transaction", "execute_together"]

PROBE = 1.0
"""The timeout, in seconds, of the check that a database works."""

Parameters = Sequence[Any] | Mapping[str, Any]

Statement = tuple[str, Sequence[Any]]
"""A statement with parameters that are `?`."""


class Rows(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int:
        """The number of rows that the statement changed."""
        ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> object: ...


class Transaction(Protocol):
    """A connection. One that writes is inside a transaction.

    Parameters are written as `?` or `:name`. A table's `rowid` orders its rows by insertion.
    """

    def execute(self, statement: str, parameters: Parameters = (), /) -> Rows: ...

    def executemany(self, statement: str, parameters: Iterable[Parameters], /) -> object: ...


@frozen
class Dialect:
    """The SQL that differs between databases.

    `record` formats a text column so that it is read as bytes. `for_update` locks the rows of a SELECT until the
    transaction ends, and waits for those locked by others; `skip_locked` omits those rows instead. `log_page` reads a
    page of the log in one statement, hence one consistent state: the places of `chain`, and up to `limit` entries after
    number `after`, or fewer once they exceed `size` bytes. `after_copy` is executed after rows were inserted with
    explicit numbers. With `joins`, WITH may contain statements that write, each to rows of its own.
    """

    record: str
    log_page: str
    for_update: str = ""
    skip_locked: str = ""
    after_copy: tuple[str, ...] = ()
    joins: bool = False


class Database(Protocol):
    """A database that several threads may use.

    Every method raises `StoreError` if the database cannot be used. Nothing was changed then.
    """

    @property
    def kind(self) -> Literal["memory", "sqlite", "postgresql"]: ...

    @property
    def name(self) -> str:
        """The name of the database in messages."""
        ...

    @property
    def dialect(self) -> Dialect: ...

    @property
    def chain(self) -> int:
        """The number of the chain of the decision log that this process writes."""
        ...

    def close(self) -> None:
        """Close the connections. Closing them again does nothing."""
        ...

    def works(self) -> bool:
        """Return whether the database can be read and written, within about a second."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """Enter a context with a connection to read from. Each statement sees everything committed before it."""
        ...

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """Enter a context with a connection whose statements all see the same state."""
        ...

    def write(
        self, *locks: str, durable: bool = True, appends: bool = False, busy_timeout: float | None = None
    ) -> AbstractContextManager[Transaction]:
        """Enter a transaction. It is committed at the end, or rolled back if an exception is raised.

        Transactions with one of the same `locks` exclude each other. With `appends`, no other process appends to the
        same `chain` meanwhile. Raises `StoreError` after `busy_timeout` seconds of waiting for others. A commit
        survives a crash of the process and, with `durable`, a power failure.
        """
        ...

    def head(self, db: Transaction) -> Any:
        """Return the head of the chain that this process writes, within a transaction that `appends`.

        The columns are the chain, the head's number, its hash, and whether an entry follows it. None if it is missing.
        """
        ...

    def try_lock(self, db: Transaction, name: str) -> Callable[[], bool]:
        """Take the lock `name` until the transaction ends. The result returns False if another transaction holds it."""
        ...

    def rewrite(self) -> None:
        """Rewrite the database, so that no deleted data remains in it."""
        ...

    def truncate_log(self) -> bool:
        """Truncate the write-ahead log, so that no deleted data remains in it. Return False if it is in use."""
        ...


def execute_together(dialect: Dialect, db: Transaction, statements: Sequence[Statement]) -> None:
    """Execute statements that write and do not depend on each other, as a single one if the database supports it."""
    if dialect.joins:
        texts, parameters = zip(*statements, strict=True)
        statements = [(_joined(texts), list(chain.from_iterable(parameters)))]
    for text, values in statements:
        db.execute(text, values)


@lru_cache(maxsize=16)
def _joined(texts: tuple[str, ...]) -> str:
    parts = ", ".join(f"part{number} AS ({text})" for number, text in enumerate(texts[:-1]))
    return f"WITH {parts} {texts[-1]}"
