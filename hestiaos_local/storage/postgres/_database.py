"""A PostgreSQL database: its connections, transactions and locks."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from hashlib import blake2b
from threading import Lock, RLock
from typing import Any, Literal

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from hestiaos_local.governance import CHAIN_SIZE, chain_start
from hestiaos_local.storage._database import PROBE, Dialect, Transaction
from hestiaos_local.storage._errors import StoreError
from hestiaos_local.storage.postgres._address import connection_arguments, parsed, shown
from hestiaos_local.storage.postgres._connection import ADAPTERS, BoundedConnection, check
from hestiaos_local.storage.postgres._errors import STATEMENT_ERRORS, store_error, unreachable
from hestiaos_local.storage.postgres._schema import prepare
from hestiaos_local.storage.postgres._tables import LOG_PAGE
from hestiaos_local.storage.postgres._transaction import PostgresTransaction, transaction

__all__ = ["PostgresDatabase"]

_CONNECTIONS = 10  # at most, of one process

_PROBED = "INSERT INTO meta (name, value) VALUES ('probe', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_BOUNDED = "SELECT set_config('statement_timeout', ?, true), set_config('lock_timeout', ?, true)"
_LOCKS = "SELECT count(*) FROM (SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(? AS BIGINT[])) AS key) AS taken"
# The chain that this process has written before, unless another is writing it now; then one that nobody writes now.
_FREE_CHAIN = (
    "SELECT chain, number, hash, EXISTS (SELECT FROM log WHERE log.number > head.number "
    f"AND log.number < (head.chain + 1) * {CHAIN_SIZE}) FROM chain AS head WHERE name = 'head' "
    "ORDER BY chain <> ?, chain LIMIT 1 FOR UPDATE SKIP LOCKED"
)
_NEW_CHAIN = "INSERT INTO chain (chain, name, number, hash) VALUES (?, 'anchor', ?, ?), (?, 'head', ?, ?)"


class PostgresDatabase:
    """The database at a URL, `postgresql://…`. It can be used by several threads, and after a fork.

    A wait for a connection of its bounded pool, or for a lock, takes at most `busy_timeout` seconds. Connections are
    replaced after a restart of the server. Every commit is durable, even if the server's process is killed.
    """

    kind: Literal["postgresql"] = "postgresql"
    dialect: Dialect = Dialect(
        record="convert_to({}, 'UTF8')",
        log_page=LOG_PAGE,
        for_update="FOR UPDATE",
        skip_locked="FOR UPDATE SKIP LOCKED",
        joins=True,
        after_copy=tuple(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'number'), coalesce(max(number), 0) + 1, false) "
            f"FROM {table}"
            for table in ("approvals", "messages", "results")
        ),
    )

    def __init__(self, url: str, busy_timeout: float) -> None:
        parts = parsed(url)
        self.name: str = shown(parts)
        self.chain: int = 0
        self._arguments = connection_arguments(parts, busy_timeout)
        self._busy_timeout = busy_timeout
        self._closed = False
        self._append_lock, self._starting = RLock(), Lock()
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
    def read(self) -> Iterator[Transaction]:
        """Provide a connection to read from. Raises `ValueError` if the database is closed."""
        with self._connection(self._busy_timeout) as connection:
            yield PostgresTransaction(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        with self._connection(self._busy_timeout) as connection, transaction(connection) as db:
            db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            db.execute("LOCK TABLE secrets IN ACCESS SHARE MODE")  # a snapshot from before a `rewrite` would find none
            db.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield db

    @contextmanager
    def write(
        self, *locks: str, durable: bool = True, appends: bool = False, busy_timeout: float | None = None
    ) -> Iterator[Transaction]:
        """Provide a transaction. Raises `ValueError` if the database is closed.

        Where the connection is lost while it commits, it raises `StoreError`, and may have been done all the same.
        """
        timeout = self._busy_timeout if busy_timeout is None else busy_timeout
        with (
            self._alone_in_process(timeout) if appends else nullcontext(),
            self._connection(timeout) as connection,
            transaction(connection) as db,
        ):
            if busy_timeout is not None:
                db.execute(_BOUNDED, (f"{busy_timeout}s", f"{busy_timeout}s"))
            if locks:
                db.execute(_LOCKS, (sorted(set(map(_key, locks))),))
            yield db

    @contextmanager
    def _alone_in_process(self, timeout: float) -> Iterator[None]:
        """Serialize the threads of this process that append to the log, since a process writes one chain."""
        taken = False
        try:
            if not (taken := self._append_lock.acquire(timeout=timeout)):
                raise self._busy("the decision log is being written")
            yield
        finally:
            if taken:
                self._append_lock.release()

    def works(self) -> bool:
        try:
            with self.write(busy_timeout=PROBE) as db:
                db.execute(_PROBED, (b"",))
        except ValueError:  # a `StoreError`, or it is closed
            return False
        return True

    def head(self, db: Transaction) -> Any:
        """Return the head of a chain, which no other process writes until the transaction ends."""
        row = db.execute(_FREE_CHAIN, (self.chain,)).fetchone()
        if row is None:
            db.execute(_LOCKS, ([_key("chains")],))
            (chain,) = db.execute("SELECT max(chain) + 1 FROM chain").fetchone()
            start = chain_start(chain)
            db.execute(_NEW_CHAIN, (chain, start.number, start.hash, chain, start.number, start.hash))
            row = chain, start.number, start.hash, False
        self.chain = row[0]
        return row

    def try_lock(self, db: Transaction, name: str) -> Callable[[], bool]:
        locked = db.execute("SELECT pg_try_advisory_xact_lock(?)", (_key(name),))
        return lambda: bool(locked.fetchone()[0])

    def rewrite(self) -> None:
        """Rewrite the table of secrets, so that it holds nothing that was replaced. The server keeps its log of writes.

        VACUUM FULL would keep the replaced rows that another connection's snapshot may still see.
        """
        with self.write() as db:
            db.execute("LOCK TABLE secrets IN ACCESS EXCLUSIVE MODE")
            rows = db.execute("SELECT key, provider, encrypted, value FROM secrets").fetchall()
            db.execute("TRUNCATE secrets")
            for row in rows:
                db.execute("INSERT INTO secrets (key, provider, encrypted, value) VALUES (?, ?, ?, ?)", row)

    def truncate_log(self) -> bool:
        return True

    @contextmanager
    def _connection(self, timeout: float) -> Iterator[psycopg.Connection[Any]]:
        pool = self._open_pool()
        try:
            try:
                connection = pool.getconn(timeout)
            except PoolTimeout:
                pool = self._pool_after_timeout(pool)
                connection = pool.getconn(timeout)
            try:
                self._in_use.add(connection)
                yield connection
            except Exception:
                raise
            except BaseException:
                connection.close()  # an interrupt may have left it in the middle of anything
                raise
            finally:
                self._in_use.discard(connection)
                pool.putconn(connection)
        except PoolClosed:
            raise ValueError(f"{self.name} is closed") from None
        except STATEMENT_ERRORS:
            raise
        except psycopg.Error as error:
            raise store_error(self.name, error) from error

    def _open_pool(self) -> ConnectionPool[BoundedConnection]:
        if self._closed:
            raise ValueError(f"{self.name} is closed")
        pool = self._pool
        pool.open()  # nothing where it is open; its threads begin with its first use, as none outlives a fork
        return pool

    def _pool_after_timeout(self, pool: ConnectionPool[BoundedConnection]) -> ConnectionPool[BoundedConnection]:
        """Return a working pool after a timeout of `pool`. Raises `StoreError` with the reason if there is none.

        An interrupt can take a connection out of a pool without returning it.
        """
        with self._connect(), self._starting:  # it raises why, if it cannot
            if len(self._in_use) >= _CONNECTIONS:
                raise self._busy(f"all {_CONNECTIONS} connections are in use")
            if self._pool is pool:
                self._finalizer()
                self._start()
            return self._open_pool()

    @contextmanager
    def _connect(self) -> Iterator[psycopg.Connection[Any]]:
        """Open a connection outside the pool."""
        try:
            connection = psycopg.connect(**self._arguments, autocommit=True, context=ADAPTERS)
        except psycopg.Error as error:
            raise unreachable(self.name, error) from None
        with connection:
            yield connection

    def _busy(self, why: str) -> StoreError:
        return StoreError(f"{self.name} is busy ({why}): try again", problem="locked", retry_after=1.0)

    def _start(self) -> None:
        self._in_use: set[psycopg.Connection[Any]] = set()
        self._pool: ConnectionPool[BoundedConnection] = ConnectionPool(
            connection_class=BoundedConnection,
            kwargs={**self._arguments, "autocommit": True, "context": ADAPTERS},
            min_size=1,
            max_size=_CONNECTIONS,
            open=False,
            check=check,
            reconnect_timeout=self._busy_timeout,
            name="hestiaos",
        )
        self._finalizer = weakref.finalize(self, self._pool.close)  # also where it is not closed

    def _after_fork(self) -> None:
        """Leave the connections to the parent process, whose sockets they are, and open others on demand."""
        self._finalizer.detach()
        _of_parents.append(self._pool)
        self._append_lock, self._starting = RLock(), Lock()
        self._start()


_databases: weakref.WeakSet[PostgresDatabase] = weakref.WeakSet()
_of_parents: list[object] = []  # pools that are never closed here


def _after_fork() -> None:
    for database in list(_databases):
        database._after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork)


def _key(name: str) -> int:
    """Return the number of a lock."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
