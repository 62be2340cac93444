"""What the store needs of a database: its statements are the same over each, but for a few words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from attrs import frozen

__all__ = ["PROBE", "Database", "Dialect", "Rows", "Transaction"]

PROBE = 1.0
"""Seconds that it may take to tell whether a database works."""

Parameters = Sequence[Any] | Mapping[str, Any]


class Rows(Protocol):
    """The rows that a statement has found."""

    @property
    def rowcount(self) -> int:
        """How many rows it has changed."""
        ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...

    def close(self) -> object: ...


class Transaction(Protocol):
    """A connection, inside a transaction where something is written.

    The parameters of a statement are `?`, or `:name`. A `rowid` counts rows in the order in which they came.
    """

    def execute(self, statement: str, parameters: Parameters = (), /) -> Rows: ...

    def executemany(self, statement: str, parameters: Iterable[Parameters], /) -> object: ...


@frozen
class Dialect:
    """The words that differ.

    `record` makes bytes of a column of text. `for_update` locks the rows of a SELECT until the transaction ends, which
    waits for others that have; `skip_locked` leaves out the rows that others have locked. `log_page` finds a page of
    the log in one statement, so that it is one state of it: the places of a `chain`, and the entries `after` a number,
    `limit` of them, or until they have more than `size` bytes. `after_copy` is done after rows were inserted with their
    numbers.
    """

    record: str
    log_page: str
    for_update: str = ""
    skip_locked: str = ""
    after_copy: tuple[str, ...] = ()


class Database(Protocol):
    """A database, for several threads.

    Raises `StoreError` where it cannot be used: nothing was done then.
    """

    @property
    def kind(self) -> Literal["memory", "sqlite", "postgresql"]: ...

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def dialect(self) -> Dialect: ...

    @property
    def chain(self) -> int:
        """The number of the chain of the decision log that this process writes."""
        ...

    def close(self) -> None:
        """Close the connections. A second time does nothing."""
        ...

    def works(self) -> bool:
        """Whether it can be read and written, without waiting for much longer than a second."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """A connection to read from. Each statement sees all that was stored before it."""
        ...

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """A connection to read from, which sees one state however long it takes."""
        ...

    def write(
        self, *locks: str, durable: bool = True, appends: bool = False, busy_timeout: float | None = None
    ) -> AbstractContextManager[Transaction]:
        """A transaction: all that is done is stored, or, where an exception leaves it, nothing.

        No other one that names one of the same `locks` runs meanwhile, and none of another process writes the same
        `chain` where it `appends` to the log. It waits for others for `busy_timeout` seconds at most. What is stored
        outlives the process; with `durable` it outlives a power cut too.
        """
        ...

    def try_lock(self, db: Transaction, name: str) -> bool:
        """Keep others from this name until the transaction ends. False where another has it."""
        ...

    def rewrite(self) -> None:
        """Write the database anew, so that nothing of what was deleted is left in it."""
        ...

    def truncate_log(self) -> bool:
        """Leave nothing of what was deleted in a log of what was written. False where this has to wait."""
        ...
