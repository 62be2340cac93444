"""Which databases are stores, and what is told of those that are not: never a password."""

from __future__ import annotations

import sys
from contextlib import closing

import pytest

from hestiaos_local.storage import Store, StoreError
from tests.support.storages import python, trace

psycopg = pytest.importorskip("psycopg")


def refused(url: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        Store(url, busy_timeout=0.5)
    assert "swordfish" not in f"{caught.value!r} {caught.value.__context__!r}"
    assert "\n" not in str(caught.value)
    return caught.value


def statement(url: str, text: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(text.encode())


def test_what_is_stored_outlives_the_store(url: str) -> None:
    for number in range(2):
        with closing(Store(url)) as store:
            assert (store.kind, store.blocking) == ("postgresql", True)
            assert store.decisions() == ({"ALLOW": number} if number else {})
            store.add_trace(trace(str(number)))


def test_a_server_that_is_not_there() -> None:
    error = refused("postgresql://hestia:swordfish@127.0.0.1:1/db?password=swordfish")
    assert (error.problem, error.retry_after) == ("unreachable", 1.0)
    assert str(error).startswith("postgresql://hestia@127.0.0.1:1/db cannot be reached (")
    assert str(error).endswith("): start the server, or correct the address, user, password or database")


def test_a_database_that_is_not_there(url: str) -> None:
    error = refused(url.replace("/postgres?", "/nothing?password=swordfish&"))
    assert 'database "nothing" does not exist' in str(error)


@pytest.mark.parametrize("url", ["postgresql://h/db?colour=swordfish", "postgresql://h:swordfish:x/db"])
def test_a_url_that_cannot_be(url: str) -> None:
    assert str(refused(url)) == ("the store's URL is not one of PostgreSQL: write postgresql://USER@HOST:PORT/DATABASE")


@pytest.mark.parametrize("url", ["mysql://hestia:swordfish@h/db", "postgresql:hestia", "postgres:/h/db"])
def test_another_kind_of_database(url: str) -> None:
    assert str(refused(url)) == (
        f"a store cannot be at {url.partition(':')[0]}:…: name a file, or postgresql://USER@HOST/DATABASE"
    )


def test_the_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert str(refused("postgresql://h/db")).endswith("pip install 'hestiaos[postgres]'")


def test_a_schema_of_another_program_is_left_as_it_is(url: str) -> None:
    statement(url, "CREATE SCHEMA hestiaos; CREATE TABLE hestiaos.meta (name text, value text)")
    error = refused(url)
    assert (error.problem, "has a schema hestiaos of another program" in str(error)) == ("foreign", True)
    with psycopg.connect(url) as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'hestiaos'"
        assert connection.execute(tables).fetchone() == (1,)


def test_a_newer_version_is_left_as_it_is(url: str) -> None:
    Store(url).close()
    statement(url, "UPDATE hestiaos.meta SET value = '1000' WHERE name = 'version'")
    assert refused(url).problem == "newer"


def test_a_user_that_may_make_no_schema(url: str) -> None:
    statement(url, "DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN")
    error = refused(url.replace("//hestia@", "//guest@"))
    assert (error.problem, "permission denied" in str(error)) == ("read_only", True)


def test_workers_that_start_at_once_make_the_tables_once(url: str) -> None:
    code = (
        "import sys; from hestiaos_local.storage import Store\n"
        "sys.stdin.read(1); store = Store(sys.argv[1]); print(store.works(), store.decisions()); store.close()"
    )
    workers = [python(code, url) for _ in range(6)]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("x")
        worker.stdin.flush()
    assert [worker.communicate()[0] for worker in workers] == ["True {}\n"] * 6
