"""Secrets at rest: what stands in the file, with which key it is read, and what is left of what was deleted."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hestiaos_local.storage import Store, StoreError
from tests.support.broad import BROAD
from tests.support.storages import python

KEY = "correct horse battery staple"
VALUE = "a-very-secret-value"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HESTIAOS_STORE_KEY", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def encrypted(file: Path) -> Iterator[Store]:
    pytest.importorskip("cryptography")
    with closing(Store(file, key=KEY)) as store:
        store.set_secret("k", VALUE, "vault")
        yield store


def in_files(file: Path, text: str) -> bool:
    """Whether a text stands anywhere in the file or beside it."""
    return any(text.encode() in path.read_bytes() for path in file.parent.iterdir())


def failure(store: Store) -> str:
    with pytest.raises(StoreError) as caught:
        store.secret("k")
    assert caught.value.problem == "encrypted"
    return str(caught.value)


def test_without_a_key_secrets_stay_as_they_are(file: Path) -> None:
    with closing(Store(file)) as store:
        store.set_secret("k", VALUE, "vault")
        assert in_files(file, VALUE)


def test_with_a_key_no_secret_is_in_the_file(file: Path, encrypted: Store) -> None:
    assert encrypted.secret("k") == VALUE
    assert not in_files(file, VALUE)
    assert not in_files(file, KEY)
    encrypted.close()
    assert not in_files(file, VALUE)
    with closing(Store(file, key=KEY)) as again:
        assert again.secret("k") == VALUE


def test_the_key_is_taken_from_the_environment(file: Path, encrypted: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HESTIAOS_STORE_KEY", KEY)
    with closing(Store(file)) as store:
        assert store.secret("k") == VALUE


@pytest.mark.skipif(os.name != "posix", reason="the environment has texts there")
def test_a_key_of_any_bytes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.setenv("HESTIAOS_STORE_KEY", os.fsdecode(b"\xff\x80key"))
    with closing(Store(file)) as store:
        store.set_secret("k", VALUE, "vault")
    with closing(Store(file)) as store:
        assert store.secret("k") == VALUE


@pytest.mark.parametrize("key", [None, ""])
def test_without_its_key_a_store_tells_no_secret(file: Path, encrypted: Store, key: str | None) -> None:
    with closing(Store(file, key=key)) as store:
        told = f"the secrets in {file} are encrypted: set HESTIAOS_STORE_KEY to the key that they were encrypted with"
        assert failure(store) == told
        with pytest.raises(StoreError, match="HESTIAOS_STORE_KEY"):
            store.set_secret("new", "in clear", "vault")
        assert not in_files(file, "in clear")
        assert store.secret("unknown") is None
        assert store.secret_names() == ["k"]
        assert store.works() is True
        assert store.delete_secret("k") is True


def test_a_wrong_key_is_reported(file: Path, encrypted: Store) -> None:
    with closing(Store(file, key="wrong")) as store:
        told = f"the secrets in {file} are encrypted: HESTIAOS_STORE_KEY is not the key that they were encrypted with"
        assert failure(store) == told
        with pytest.raises(StoreError, match="is not the key"):
            store.set_secret("k", "other", "vault")
    assert encrypted.secret("k") == VALUE


def test_clear_secrets_are_encrypted_when_a_key_is_first_given(file: Path) -> None:
    pytest.importorskip("cryptography")
    with closing(sqlite3.connect(file)) as db:  # a file whose free space is not cleaned
        db.execute("PRAGMA secure_delete = OFF")
    with closing(Store(file)) as store:
        for number in range(100):
            store.set_secret(f"k{number}", f"{VALUE}-{number}-", "vault")
        with closing(sqlite3.connect(file)) as db:
            db.execute("PRAGMA secure_delete = OFF")
            db.execute("DELETE FROM secrets WHERE key = 'k99'")
            db.commit()
        assert in_files(file, f"{VALUE}-99-")
        with closing(Store(file, key=KEY)) as with_key:
            assert not in_files(file, VALUE)
            assert [with_key.secret(f"k{number}") for number in (0, 98, 99)] == [f"{VALUE}-0-", f"{VALUE}-98-", None]
        assert failure_of(store, "k0") == "encrypted"
    assert not in_files(file, VALUE)


def failure_of(store: Store, name: str) -> str:
    with pytest.raises(StoreError) as caught:
        store.secret(name)
    return caught.value.problem


def test_a_file_that_takes_the_place_of_an_encrypted_one_is_encrypted_too(
    file: Path, encrypted: Store, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    with closing(Store(other)) as clear:
        clear.set_secret("k", "of the other", "vault")
    other.rename(file)
    assert encrypted.secret("k") == "of the other"
    encrypted.set_secret("new", VALUE, "vault")
    assert not in_files(file, VALUE)
    assert not in_files(file, "of the other")
    assert (encrypted.secret("k"), encrypted.secret("new")) == ("of the other", VALUE)


def test_a_secret_cannot_be_moved_to_another_name(file: Path, encrypted: Store) -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute("INSERT INTO secrets SELECT 'other', provider, encrypted, value FROM secrets")
        db.execute("UPDATE secrets SET value = substr(value, 1, 20) WHERE key = 'k'")
        db.commit()
    assert failure_of(encrypted, "other") == "damaged"
    assert failure_of(encrypted, "k") == "damaged"
    encrypted.set_secret("k", "new", "vault")
    assert encrypted.secret("k") == "new"


@BROAD
def test_processes_encrypt_a_file_once(file: Path) -> None:
    pytest.importorskip("cryptography")
    with closing(Store(file)) as store:
        store.set_secret("k", VALUE, "vault")
    code = (
        "import sys; from hestiaos_local.storage import Store\n"
        "print(Store(sys.argv[1], key=sys.argv[2], busy_timeout=30.0).secret('k'))"
    )
    processes = [python(code, file, KEY) for _ in range(4)]
    assert {process.communicate()[0] for process in processes} == {f"{VALUE}\n"}
    assert not in_files(file, VALUE)


def test_a_key_without_the_package_that_encrypts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(StoreError, match=r"pip install 'hestiaos\[platform\]'"):
        Store(file, key=KEY)
    monkeypatch.undo()
    assert os.listdir(file.parent) == ["store.db"]


@pytest.mark.parametrize("key", ["", KEY])
def test_what_is_deleted_is_gone_from_the_file(file: Path, key: str) -> None:
    if key:
        pytest.importorskip("cryptography")
    with closing(Store(file, key=key)) as store:
        store.set_secret("first", f"{VALUE}-1", "vault")
        store.set_secret("first", "replaced", "vault")
        store.set_secret("second", f"{VALUE}-2", "vault")
        store.delete_secret("second")
        store.add_messages("s", [{"role": "user", "content": f"{VALUE}-3"}], now=0.0)
        assert in_files(file, VALUE)
        store.delete_session("s")
        assert not in_files(file, VALUE)
