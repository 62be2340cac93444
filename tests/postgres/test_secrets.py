"""Secrets at rest in PostgreSQL: what stands in its tables."""

from __future__ import annotations

from contextlib import closing

import pytest

from hestiaos_local.storage import Store, StoreError
from tests.support.storages import python

psycopg = pytest.importorskip("psycopg")
pytest.importorskip("cryptography")

KEY = "correct horse battery staple"
VALUE = "a-very-secret-value"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HESTIAOS_STORE_KEY", raising=False)


def in_tables(url: str, text: str) -> bool:
    """Whether a text stands in what the server keeps of the table, what was deleted too."""
    with psycopg.connect(url, options="-csearch_path=hestiaos") as connection:
        connection.execute("CHECKPOINT")
        (found,) = connection.execute(
            "SELECT position(%s IN pg_read_binary_file(pg_relation_filepath('secrets'))) > 0", (text.encode(),)
        ).fetchone()
    return bool(found)


def test_with_a_key_no_secret_is_in_the_tables(url: str) -> None:
    with closing(Store(url, key=KEY)) as store:
        store.set_secret("k", VALUE, "vault")
        assert store.secret("k") == VALUE
        assert not in_tables(url, VALUE)
    for key, told in [(None, "set HESTIAOS_STORE_KEY"), ("wrong", "HESTIAOS_STORE_KEY is not the key")]:
        with closing(Store(url, key=key)) as store, pytest.raises(StoreError, match=told) as caught:
            store.secret("k")
        assert caught.value.problem == "encrypted"


def test_clear_secrets_are_encrypted_when_a_key_is_first_given(url: str) -> None:
    with closing(Store(url)) as store:
        for number in range(20):
            store.set_secret(f"k{number}", f"{VALUE}-{number}-", "vault")
        assert in_tables(url, VALUE)
        with closing(Store(url, key=KEY)) as with_key:
            assert not in_tables(url, VALUE)
            assert sorted(with_key.secret_values()) == sorted(f"{VALUE}-{number}-" for number in range(20))
        with pytest.raises(StoreError):
            store.set_secret("k", VALUE, "vault")


def test_workers_encrypt_a_database_once(url: str) -> None:
    with closing(Store(url)) as store:
        store.set_secret("k", VALUE, "vault")
    code = (
        "import sys; from hestiaos_local.storage import Store\n"
        "store = Store(sys.argv[1], key=sys.argv[2]); print(store.secret('k')); store.close()"
    )
    workers = [python(code, url, KEY) for _ in range(4)]
    assert [worker.communicate()[0] for worker in workers] == [f"{VALUE}\n"] * 4
    assert not in_tables(url, VALUE)
