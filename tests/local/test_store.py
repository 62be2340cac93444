"""The store: what it keeps, in memory and in a file, alone and among processes, and the files it does not touch."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hestiaos_local import Store, StoreError
from hestiaos_local._store import MAX_RESULTS
from hestiaos_proto import TraceResponse


def trace(trace_id: str, decision: str = "ALLOW") -> TraceResponse:
    return TraceResponse(trace_id=trace_id, decision=decision, violations=[], latency_ms=1.5, reason="r", policy="p")


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Run `code` in another process, with the same modules at hand."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ)


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = Store(None if request.param == "memory" else tmp_path / "store.db")
    yield store
    store.close()


def test_traces(store: Store) -> None:
    assert store.trace("a") is None
    store.add_trace(trace("a"), {"input": "é\0"})
    store.add_trace(trace("b", "BLOCK"), {})
    store.add_trace(trace("c"), {})
    assert store.trace("a") == (trace("a"), {"input": "é\0"})
    assert store.decisions() == {"ALLOW": 2, "BLOCK": 1}
    assert store.decisions(newest=2) == {"ALLOW": 1, "BLOCK": 1}


def test_sessions(store: Store) -> None:
    store.add_messages("s", 100.0, [("user", "one"), ("assistant", "two")])
    store.add_messages("t", 150.0, [("user", "other")])
    store.add_messages("s", 200.0, [("user", "three")])
    assert store.messages("s") == [("user", "one"), ("assistant", "two"), ("user", "three")]
    assert [store.sessions_since(time) for time in (0.0, 175.0, 200.0, 201.0)] == [2, 1, 1, 0]


def test_secrets(store: Store) -> None:
    store.set_secret("k", "v\0w", "custom")
    assert store.secret("k") == "v\0w"
    store.set_secret("k", "new", "vault")
    assert store.secret("k") == "new"
    assert store.delete_secret("k") is True
    assert store.delete_secret("k") is False
    assert store.secret("k") is None


def test_the_newest_results_are_kept(store: Store) -> None:
    with store.transaction():
        for number in range(MAX_RESULTS + 2):
            store.keep_result(f"key {number}", "f", {"n": number})
    assert store.result("key 1") is None
    assert store.result("key 2") == ("f", {"n": 2})
    assert store.result(f"key {MAX_RESULTS + 1}") == ("f", {"n": MAX_RESULTS + 1})


def test_a_transaction_stores_all_or_nothing(store: Store) -> None:
    def fail_halfway() -> None:
        with store.transaction():
            store.add_trace(trace("a"), {})
            store.add_messages("s", 1.0, [("user", "text")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert store.trace("a") is None
    assert store.messages("s") == []
    store.add_trace(trace("a"), {})
    assert store.trace("a") is not None


def test_threads_share_it(store: Store) -> None:
    def work(number: int) -> None:
        store.add_trace(trace(f"t{number}"), {})
        store.add_messages("s", float(number), [("user", str(number))])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(200)))
    assert store.decisions() == {"ALLOW": 200}
    assert sorted(int(text) for _, text in store.messages("s")) == list(range(200))


def test_close_twice(store: Store) -> None:
    assert store.works() is True
    store.close()
    store.close()
    assert store.works() is False


def test_a_file_is_kept_and_is_the_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "deep" / "store.db"
    first = Store(file)
    first.add_trace(trace("a"), {})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"new": 0o700, "deep": 0o700} | {f"store.db{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}
    first.close()
    second = Store(file)
    assert second.trace("a") is not None
    second.close()


def test_processes_share_a_file(tmp_path: Path) -> None:
    file = str(tmp_path / "store.db")
    code = (
        "import sys; from hestiaos_local import Store; from hestiaos_proto import TraceResponse\n"
        "store = Store(sys.argv[1])\n"
        "for n in range(20):\n"
        "    store.add_trace(TraceResponse(f'{sys.argv[2]}.{n}', 'ALLOW', [], 1.0), {})\n"
    )
    # All at once make the file, and then write to it.
    processes = [python(code, file, str(number)) for number in range(6)]
    assert [(process.communicate()[0], process.returncode) for process in processes] == [("", 0)] * 6
    store = Store(file)
    assert store.decisions() == {"ALLOW": 120}
    assert store.trace("5.19") is not None
    store.close()


def test_a_store_that_is_dropped_is_closed(tmp_path: Path) -> None:
    Store(tmp_path / "store.db").add_trace(trace("a"), {})
    # SQLite removes the write-ahead log with the last connection.
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]


def sqlite_file(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def test_what_is_no_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    text, short, foreign, numbered, newer = (tmp_path / name for name in "abcde")
    text.write_text("a letter to my aunt\n" * 100)
    short.write_text("x")
    sqlite_file(foreign, "CREATE TABLE bookmarks (url)")
    sqlite_file(numbered, "PRAGMA user_version = 3")
    Store(newer).close()
    sqlite_file(newer, "PRAGMA user_version = 2")
    for path, told in [
        (text, "is no SQLite database (file is not a database): choose another file"),
        (short, "is no SQLite database: choose another file"),
        (foreign, "is the database of another program: choose another file"),
        (numbered, "is the database of another program: choose another file"),
        (newer, "was written by a newer version: install that version, or choose another file"),
    ]:
        before = path.read_bytes()
        with pytest.raises(StoreError) as caught:
            Store(path)
        assert str(caught.value) == f"{path} {told}"
        assert path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == list("abcde")


def test_a_path_that_cannot_be_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, told in [
        (str(tmp_path), f"{tmp_path} is a directory: name a file in it"),
        (
            f"{tmp_path}/file/store.db",
            f"{tmp_path}/file/store.db cannot be opened (Not a directory): choose another file",
        ),
        ("/dev/null", "/dev/null is no file: choose another one"),
        ("", "the store's path is empty: name a file"),
    ]:
        with pytest.raises(StoreError) as caught:
            Store(path)
        assert str(caught.value) == told


def test_a_path_that_no_file_can_have() -> None:
    with pytest.raises(StoreError, match=r"^a\0b cannot be opened \(.*embedded null .*\): choose another file$"):
        Store("a\0b")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    Store(file).close()
    file.chmod(0o400)
    with pytest.raises(StoreError, match="may not be written by this user: choose another file"):
        Store(file)


def test_a_file_that_another_process_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hestiaos_local._store._BUSY", 0.0)
    file = tmp_path / "store.db"
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError) as caught:
        Store(file)
    assert (
        str(caught.value) == f"{file} cannot be used (database is locked): end what is using it, or choose another file"
    )
    holder.close()


@pytest.mark.parametrize("before", ["empty", "a store", "a store in use"])
def test_a_file_that_others_may_read_becomes_the_users_alone(tmp_path: Path, before: str) -> None:
    file = tmp_path / "store.db"
    file.touch()
    first = None if before == "empty" else Store(file)
    if first is not None and before == "a store":
        first.close()
    for path in tmp_path.iterdir():
        path.chmod(0o664)
    store = Store(file)
    store.set_secret("k", "v", "custom")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {f"store.db{suffix}": 0o600 for suffix in ("", "-wal", "-shm")}
    store.close()
    if first is not None:
        first.close()


def test_what_is_no_store_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "letter"
    file.write_text("a letter to my aunt\n" * 100)
    file.chmod(0o664)
    with pytest.raises(StoreError):
        Store(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o664


def test_a_file_that_is_locked_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hestiaos_local._store._BUSY", 0.0)
    file = tmp_path / "store.db"
    store = Store(file)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    told = f"{file} cannot be used (database is locked): end what is using it, or choose another file"
    with pytest.raises(StoreError) as caught:
        store.add_trace(trace("a"), {})
    assert str(caught.value) == told
    with pytest.raises(StoreError) as caught:
        store.add_messages("s", 1.0, [("user", "text")])
    assert str(caught.value) == told
    holder.close()
    store.add_trace(trace("a"), {})
    store.close()


def damage(file: Path) -> None:
    """Overwrite all that stands behind SQLite's first page, which holds the schema."""
    with file.open("r+b") as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(4096)
        raw.write(b"\xff" * (size - 4096))


def test_a_file_that_is_damaged_later(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    Store(file).close()
    damage(file)
    store = Store(file)
    with pytest.raises(StoreError) as caught:
        store.trace("a")
    assert str(caught.value) == (
        f"{file} is damaged (database disk image is malformed): move it away, or choose another file"
    )
    store.close()
