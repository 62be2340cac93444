"""One PostgreSQL database: its connections, and what is done alone."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from threading import RLock
from typing import Any, Literal

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from hestiaos_local.governance import chain_start
from hestiaos_local.storage._database import Dialect, Transaction
from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage.postgres._address import connection_arguments, parsed, shown
from hestiaos_local.storage.postgres._connection import ADAPTERS, PostgresTransaction
from hestiaos_local.storage.postgres._errors import STATEMENT_ERRORS, store_error, unreachable
from hestiaos_local.storage.postgres._schema import prepare
from hestiaos_local.storage.postgres._tables import LOG_PAGE

__all__ = ["PostgresDatabase"]

_CONNECTIONS = 10  # at most, of one process
_PROBE = 1.0  # seconds that `works` waits

_LOCKS = "SELECT count(*) FROM (SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(? AS BIGINT[])) AS key) AS taken"
# The chain that this process has written before, unless another is writing it now; then one that nobody writes now.
_FREE_CHAIN = (
    "SELECT chain FROM chain WHERE name = 'head' ORDER BY chain <> ?, chain LIMIT 1 FOR UPDATE SKIP LOCKED"
)
_NEW_CHAIN = "INSERT INTO chain (chain, name, number, hash) VALUES (?, 'anchor', ?, ?), (?, 'head', ?, ?)"


class PostgresDatabase:
    """The database at a URL, `postgresql://…`. Safe for several threads, and before and after a fork.

    Its connections are a bounded pool, which is waited for `busy_timeout` seconds at most, and so is a lock; they are
    made anew where the server was restarted. All that is stored is durable, whatever becomes of the server's process.
    """

    kind: Literal["postgresql"] = "postgresql"
    dialect = Dialect(
        record="convert_to({}, 'UTF8')",
        log_page=LOG_PAGE,
        for_update="FOR UPDATE",
        skip_locked="FOR UPDATE SKIP LOCKED",
    )

    def __init__(self, url: str, busy_timeout: float) -> None:
        parts = parsed(url)
        self.name = shown(parts)
        self.chain = 0
        self._arguments = connection_arguments(parts, busy_timeout)
        self._busy_timeout = busy_timeout
        self._closed = False
        with self._connect() as connection:
            try:
                prepare(self.name, connection)
            except psycopg.Error as error:
                raise store_error(self.name, error) from None
        self._start()
        _databases.add(self)

    def close(self) -> None:
        self._closed = True
        self._finalizer()

    @contextmanager
    def read(self) -> Iterator[PostgresTransaction]:
        """A connection to read from. Raises `ValueError` once it is closed."""
        with self._connection(self._busy_timeout) as connection:
            yield PostgresTransaction(connection)

    @contextmanager
    def write(
        self, *locks: str, durable: bool = True, appends: bool = False, busy_timeout: float | None = None
    ) -> Iterator[PostgresTransaction]:
        """A transaction. Raises `ValueError` once it is closed.

        Where the connection is lost while it commits, it raises `StoreError`, and may have been done all the same.
        """
        timeout = self._busy_timeout if busy_timeout is None else busy_timeout
        with ExitStack() as stack:
            if appends:  # a process writes one chain
                if not self._append_lock.acquire(timeout=timeout):
                    raise self._busy("the decision log is being written")
                stack.callback(self._append_lock.release)
            connection = stack.enter_context(self._connection(timeout))
            stack.enter_context(connection.transaction())
            db = PostgresTransaction(connection)
            if busy_timeout is not None:
                limit = str(round(busy_timeout * 1000))
                db.execute("SELECT set_config(name, ?, true) FROM unnest(ARRAY['statement_timeout', 'lock_timeout']) AS name", (limit,)).fetchall()
            if locks:
                db.execute(_LOCKS, (sorted(set(map(_key, locks))),))
            if appends:
                self.chain = self._free_chain(db)
            yield db

    def works(self) -> bool:
        try:
            with self.write(busy_timeout=_PROBE) as db:
                db.execute(
                    "INSERT INTO meta (name, value) VALUES ('probe', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (b"",),
                )
        except ValueError:  # a `StoreError`, or it is closed
            return False
        return True

    def try_lock(self, db: Transaction, name: str) -> bool:
        return bool(db.execute("SELECT pg_try_advisory_xact_lock(?)", (_key(name),)).fetchone()[0])

    def rewrite(self) -> None:
        """Nothing of secrets that were in clear is left in their table; the write-ahead log is the server's to keep."""
        with self._connection(self._busy_timeout) as connection:
            connection.execute("VACUUM (FULL) secrets")

    def truncate_log(self) -> bool:
        return True

    def _free_chain(self, db: Transaction) -> int:
        """A chain that no other process writes, until the transaction ends."""
        row = db.execute(_FREE_CHAIN, (self.chain,)).fetchone()
        if row is not None:
            return int(row[0])
        db.execute(_LOCKS, ([_key("chains")],))
        (chain,) = db.execute("SELECT max(chain) + 1 FROM chain").fetchone()
        start = chain_start(chain)
        db.execute(_NEW_CHAIN, (chain, start.number, start.hash, chain, start.number, start.hash))
        return int(chain)

    @contextmanager
    def _connection(self, timeout: float) -> Iterator[psycopg.Connection[Any]]:
        if self._closed:
            raise ValueError(f"{self.name} is closed")
        self._pool.open()  # which does nothing where it is open; its threads begin with the first use, after a fork too
        try:
            with self._pool.connection(timeout) as connection:
                yield connection
        except PoolClosed:
            raise ValueError(f"{self.name} is closed") from None
        except PoolTimeout:
            with self._connect():  # says why, if it cannot
                raise self._busy(f"all {_CONNECTIONS} connections are in use") from None
        except STATEMENT_ERRORS:
            raise
        except psycopg.Error as error:
            raise store_error(self.name, error) from error

    @contextmanager
    def _connect(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection beside the pool."""
        try:
            connection = psycopg.connect(**self._arguments, autocommit=True, context=ADAPTERS)
        except psycopg.Error as error:
            raise unreachable(self.name, error) from None
        with connection:
            yield connection

    def _busy(self, why: str) -> StoreError:
        return StoreError(f"{self.name} is busy ({why}): try again", problem="locked", retry_after=1.0)

    def _start(self) -> None:
        self._append_lock = RLock()
        self._pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            kwargs={**self._arguments, "autocommit": True, "context": ADAPTERS},
            min_size=1,
            max_size=_CONNECTIONS,
            open=False,
            check=ConnectionPool.check_connection,
            reconnect_timeout=self._busy_timeout,
            name="hestiaos",
        )
        self._finalizer = weakref.finalize(self, self._pool.close)  # also where it is not closed

    def _after_fork(self) -> None:
        """Leave the connections to the parent, whose sockets they are, and make others when they are needed."""
        self._finalizer.detach()
        _of_parents.append(self._pool)
        self._start()


_databases: weakref.WeakSet[PostgresDatabase] = weakref.WeakSet()
_of_parents: list[object] = []  # pools that are never closed here


def _after_fork() -> None:
    for database in list(_databases):
        database._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)


def _key(name: str) -> int:
    """The number of a lock."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
