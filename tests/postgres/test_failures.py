"""What goes wrong with a server while it is in use: every wait ends, it is told why, and it goes on by itself."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from threading import Event, Thread
from time import monotonic

import pytest

from hestiaos_local.storage import Store, StoreError, verify_log
from tests.support.postgres import PostgresServer
from tests.support.storages import trace

psycopg = pytest.importorskip("psycopg")

SETTINGS = "-csearch_path=hestiaos"


@pytest.fixture
def impatient(url: str) -> Iterator[Store]:
    with closing(Store(url, busy_timeout=2.0)) as store:
        store.add_trace(trace("before"))
        yield store


def failure(use: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        use()
    return caught.value


def test_a_server_that_is_started_again(server: PostgresServer) -> None:
    with closing(Store(server.url(), busy_timeout=2.0)) as store:
        store.add_trace(trace("a"))
        server.stop()
        for use in (lambda: store.add_trace(trace("b")), lambda: store.trace("a")):
            error = failure(use)
            assert (error.problem, error.retry_after) == ("unreachable", 1.0)
        assert store.works() is False
        server.start()
        assert store.works() is True
        store.add_trace(trace("b"))
        server.stop()
        server.start()  # between two uses nobody notices
        store.add_trace(trace("c"))
        assert [each.trace_id for each in store.traces()] == ["c", "b", "a"]
        assert verify_log(store).ok


def test_connections_that_the_server_ends(url: str, impatient: Store) -> None:
    with psycopg.connect(url, autocommit=True) as administrator:
        for number in range(3):
            administrator.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'hestiaos'"
            )  # it waits until they have ended
            impatient.add_trace(trace(str(number)))


def test_what_another_holds_is_waited_for_and_not_for_ever(url: str, impatient: Store) -> None:
    with psycopg.connect(url, options=SETTINGS) as other:
        other.execute("LOCK TABLE log, meta")
        for use in (lambda: impatient.add_trace(trace("a")), lambda: impatient.trace("before")):
            error = failure(use)
            assert (error.problem, error.retry_after) == ("locked", 1.0)
            assert "is busy (canceling statement due to lock timeout): try again" in str(error)
        assert impatient.works() is False
        other.rollback()
    assert impatient.works() is True
    impatient.add_trace(trace("a"))
    assert verify_log(impatient).ok


def test_a_statement_that_takes_too_long_is_given_up(url: str) -> None:
    with (
        closing(Store(f"{url}&options=-c%20statement_timeout%3D100")) as store,
        store._database.read() as db,
        pytest.raises(psycopg.errors.QueryCanceled),
    ):
        db.execute("SELECT pg_sleep(10)")


def test_a_transaction_that_its_worker_does_not_end_is_ended(url: str) -> None:
    """As where the worker is stopped: what it has locked is free again."""
    bounded = f"{url}&options=-c%20idle_in_transaction_session_timeout%3D100"
    with closing(Store(bounded)) as store, closing(Store(url, busy_timeout=30.0)) as other:

        def stand_still() -> None:
            with store._database.write("lock") as db:
                db.execute("SELECT 1").fetchall()
                with other._database.write("lock"):
                    pass
                db.execute("SELECT 1").fetchall()

        assert failure(stand_still).retry_after == 1.0
        store.add_trace(trace("a"))


@pytest.mark.thorough
@pytest.mark.timeout(300)
def test_a_server_that_is_stopped_and_goes_on(server: PostgresServer) -> None:
    """Nothing is heard of it, not even that it has ended."""
    with closing(Store(server.url(), busy_timeout=2.0)) as store:
        store.add_trace(trace("a"))
        server.signal(signal.SIGSTOP)
        begun = monotonic()
        error = failure(lambda: store.add_trace(trace("b")))
        assert (error.problem, monotonic() - begun < 120) == ("unreachable", True)
        server.signal(signal.SIGCONT)
        store.add_trace(trace("c"))
        assert verify_log(store).ok


def test_more_threads_than_connections(url: str, impatient: Store) -> None:
    """Those without one are told so, and the others are not disturbed."""
    free = Event()

    def hold(inside: Event) -> None:
        with impatient._database.read():
            inside.set()
            free.wait(60)

    with ExitStack() as stack:
        stack.callback(free.set)
        for _ in range(10):
            inside = Event()
            thread = Thread(target=hold, args=(inside,))
            thread.start()
            stack.callback(thread.join)
            assert inside.wait(30)
        begun = monotonic()
        error = failure(lambda: impatient.trace("before"))
        assert monotonic() - begun < 10
        assert error.problem == "locked"
        assert "is busy (all 10 connections are in use): try again" in str(error)
        free.set()
    assert impatient.trace("before") is not None


def test_a_user_that_may_only_read(url: str, impatient: Store) -> None:
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute("DROP ROLE IF EXISTS reader")
        administrator.execute("CREATE ROLE reader LOGIN")
        administrator.execute("GRANT USAGE ON SCHEMA hestiaos TO reader")
        administrator.execute("GRANT SELECT ON ALL TABLES IN SCHEMA hestiaos TO reader")
        try:
            with closing(Store(url.replace("//hestia@", "//reader@"))) as store:
                assert store.trace("before") is not None
                error = failure(lambda: store.add_trace(trace("a")))
                assert (error.problem, "permission denied" in str(error)) == ("read_only", True)
                assert store.works() is False
        finally:
            administrator.execute("DROP OWNED BY reader")
            administrator.execute("DROP ROLE reader")


def test_a_schema_that_is_dropped(url: str, impatient: Store) -> None:
    with psycopg.connect(url, autocommit=True) as administrator:
        administrator.execute("DROP SCHEMA hestiaos CASCADE")
    error = failure(lambda: impatient.trace("before"))
    assert (error.problem, "lacks tables of the store" in str(error)) == ("damaged", True)


def test_a_store_that_is_dropped_leaves_no_connection(url: str) -> None:
    Store(url).add_trace(trace("a"))
    with psycopg.connect(url, autocommit=True) as administrator:
        until = monotonic() + 20
        while administrator.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hestiaos'"
        ).fetchone() != (0,):
            assert monotonic() < until
