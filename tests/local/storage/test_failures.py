"""What goes wrong with a file while it is in use: it is told, nothing is lost, and it goes on by itself."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from hestiaos_local.storage import Store, StoreError
from hestiaos_local.storage._sqlite import SQLiteDatabase
from tests.support.storages import trace


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    with closing(Store(file, busy_timeout=0.0)) as store:
        store.add_trace(trace("before"))
        yield store


def failure(use: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        use()
    return caught.value


def test_a_file_that_another_program_holds_at_first(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        error = failure(lambda: Store(file, busy_timeout=0.0))
        assert (error.problem, error.retry_after) == ("locked", 1.0)
        assert (
            str(error)
            == f"{file} is locked by another program (database is locked): try again, or end what is using it"
        )


def test_a_file_that_another_program_writes_is_read_all_the_same(file: Path, store: Store) -> None:
    store.add_messages("s", [{"role": "user", "content": "text"}], now=1.0)
    store.set_secret("k", "v", "custom")
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        holder.execute("DELETE FROM traces")
        for write in (
            lambda: store.add_trace(trace("a")),
            lambda: store.claim("k", "f", now=0.0, lease=1.0),
            lambda: store.add_messages("s", [], now=2.0),
        ):
            error = failure(write)
            assert (error.problem, error.retry_after) == ("locked", 1.0)
        assert store.works() is False
        assert store.trace("before") == trace("before")
        assert store.decisions() == {"ALLOW": 1}
        assert (store.messages("s"), store.secret("k")) == ([{"role": "user", "content": "text"}], "v")
        holder.execute("ROLLBACK")
    store.add_trace(trace("a"))
    assert store.works() is True
    assert store.decisions() == {"ALLOW": 2}


def test_a_writer_waits_for_another(file: Path) -> None:
    with (
        closing(Store(file, busy_timeout=20.0)) as store,
        closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as holder,
    ):
        from threading import Thread

        holder.execute("BEGIN IMMEDIATE")
        writer = Thread(target=lambda: store.add_trace(trace("a")))
        writer.start()
        assert store.trace("a") is None
        holder.execute("ROLLBACK")
        writer.join(50)
        assert store.trace("a") == trace("a")


def damage(file: Path) -> None:
    """Overwrite all but SQLite's first page, which holds the schema."""
    with file.open("r+b") as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(4096)
        raw.write(b"\xff" * (size - 4096))


@pytest.mark.timing
def test_writers_do_not_wait_for_a_locked_file_in_turn(file: Path) -> None:
    with (
        closing(Store(file, busy_timeout=1.0)) as store,
        closing(sqlite3.connect(file, isolation_level=None)) as holder,
    ):
        holder.execute("BEGIN IMMEDIATE")
        until = time.monotonic() + 4.0

        def write(number: int) -> float:
            longest = 0.0
            while (began := time.monotonic()) < until:
                with suppress(StoreError):
                    store.set_secret(f"k{number}", "v", "custom")
                longest = max(longest, time.monotonic() - began)
            return longest

        with ThreadPoolExecutor(8) as threads:
            assert max(threads.map(write, range(8))) < 2.0
        holder.execute("ROLLBACK")
        store.set_secret("k", "v", "custom")


def test_a_damaged_file(file: Path, store: Store) -> None:
    store.close()
    whole = file.read_bytes()
    damage(file)
    with closing(Store(file)) as damaged:
        error = failure(lambda: damaged.trace("before"))
        assert error.problem == "damaged"
        assert str(error) == (
            f"{file} is damaged (database disk image is malformed): move it away, or choose another file"
        )
        assert damaged.works() is False
        file.write_bytes(whole)
        assert damaged.trace("before") == trace("before")


def test_text_that_is_not_utf8(file: Path, store: Store) -> None:
    store.add_messages("s", [{"role": "user", "content": "x"}], now=0.0)
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE messages SET message = CAST(x'ff' AS TEXT)")
        db.commit()
    error = failure(lambda: store.messages("s"))
    assert str(error).startswith(f"{file} cannot be used (Could not decode to UTF-8 column 'message'")
    assert store.decisions() == {"ALLOW": 1}


def test_a_file_that_is_removed_and_put_back(file: Path, store: Store, tmp_path: Path) -> None:
    away = tmp_path / "away.db"
    file.rename(away)
    for use in (lambda: store.add_trace(trace("a")), lambda: store.trace("before")):
        error = failure(use)
        assert error.problem == "replaced"
        assert str(error) == (
            f"{file} was removed or replaced while it was in use: put it back, or end what is using it"
        )
    assert store.works() is False
    assert not file.exists()
    away.rename(file)
    store.add_trace(trace("a"))
    assert store.decisions() == {"ALLOW": 2}


def test_a_log_that_is_removed(file: Path, store: Store, tmp_path: Path) -> None:
    """What is acknowledged after that is found if the process is killed: the files are copied while it is used."""
    file.with_name("store.db-wal").unlink()
    store.add_trace(trace("after"))
    with closing(Store(file)) as second:
        second.add_trace(trace("of another"))
    assert store.decisions() == {"ALLOW": 3}
    (tmp_path / "copy").mkdir()
    for each in ("store.db", "store.db-wal"):
        shutil.copy(tmp_path / each, tmp_path / "copy" / each)
    with closing(Store(tmp_path / "copy" / "store.db")) as copy:
        assert copy.decisions() == {"ALLOW": 3}


def test_another_store_takes_the_place_of_the_file(file: Path, store: Store, tmp_path: Path) -> None:
    other, old = tmp_path / "other.db", tmp_path / "old.db"
    with closing(Store(other)) as another:
        another.add_trace(trace("of the other", "BLOCK"))
    os.link(file, old)  # so that what was in the replaced file can be seen
    other.rename(file)
    assert store.trace("before") is None
    assert store.trace("of the other") is not None
    store.add_trace(trace("a", "BLOCK"))
    store.close()
    with closing(Store(old)) as replaced:
        assert replaced.decisions() == {"ALLOW": 1}
    with closing(Store(file)) as new:
        assert new.decisions() == {"BLOCK": 2}


def test_another_programs_file_takes_the_place_of_the_file(file: Path, store: Store, tmp_path: Path) -> None:
    letter, old = tmp_path / "letter", tmp_path / "old.db"
    letter.write_text("a letter to my aunt\n" * 100)
    os.link(file, old)
    letter.rename(file)
    assert failure(lambda: store.trace("before")).problem == "foreign"
    assert failure(lambda: store.add_trace(trace("a"))).problem == "foreign"
    assert file.read_text() == "a letter to my aunt\n" * 100
    file.unlink()
    assert failure(lambda: store.trace("before")).problem == "replaced"
    old.rename(file)
    assert store.trace("before") == trace("before")


def test_two_that_use_a_replaced_file_leave_it_whole(file: Path, store: Store, tmp_path: Path) -> None:
    """SQLite finds the log by its name, and would write what is in it into a file that it is not of."""
    other, old = tmp_path / "other.db", tmp_path / "old.db"
    Store(other).close()
    with closing(Store(file)) as second:  # or as good as one in another process: it keeps the log
        second.add_trace(trace("in the log"))
        os.link(file, old)
        other.rename(file)
        store.add_trace(trace("a"))
        second.add_trace(trace("b"))
        assert store.decisions() == second.decisions() == {"ALLOW": 2}
    with closing(Store(old)) as replaced:
        assert replaced.decisions() == {"ALLOW": 2}
        assert replaced.trace("in the log") is not None


def test_a_replaced_file_that_a_program_reads_is_not_left_in_part(file: Path, store: Store, tmp_path: Path) -> None:
    other, old = tmp_path / "other.db", tmp_path / "old.db"
    Store(other).close()
    os.link(file, old)
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM traces").fetchone() == (1,)
        store.add_trace(trace("in the log"))
        whole = other.read_bytes()
        other.rename(file)
        for _ in range(2):
            error = failure(lambda: store.trace("before"))
            assert error.problem == "replaced"
            assert "end every program that uses it" in str(error)
        assert file.read_bytes() == whole
    assert store.decisions() == {}
    with closing(Store(old)) as replaced:
        assert replaced.decisions() == {"ALLOW": 2}


def test_a_store_that_is_closed_after_its_file_was_replaced_leaves_it_whole(
    file: Path, store: Store, tmp_path: Path
) -> None:
    other, old = tmp_path / "other.db", tmp_path / "old.db"
    Store(other).close()
    os.link(file, old)
    other.rename(file)
    store.close()
    for path, decisions in ((old, {"ALLOW": 1}), (file, {})):
        with closing(Store(path)) as each:
            assert each.decisions() == decisions


@pytest.mark.parametrize("name", [None, "store.db"])
def test_a_finalizer_that_comes_in_the_middle_of_a_transaction(tmp_path: Path, name: str | None) -> None:
    """The collector may run one anywhere, in the thread that is inside already."""
    database = SQLiteDatabase(None if name is None else tmp_path / name, 0.0)

    class Collected:
        def __del__(self) -> None:
            with database.write() as inner:
                inner.execute("INSERT INTO meta (name, value) VALUES ('inner', '')")

    with database.write() as outer:
        outer.execute("INSERT INTO meta (name, value) VALUES ('outer', '')")
        Collected()
    with database.read() as db:
        assert db.execute("SELECT name FROM meta ORDER BY name").fetchall() == [("inner",), ("outer",)]
    database.close()


FULL = """
import os, sys
from pathlib import Path
from hestiaos_local.storage import *
store = Store("store.db")
filler = open("filler", "wb", buffering=0)
def fill():
    for size in (4096, 1):
        try:
            while True:
                filler.write(bytes(size))
        except OSError:
            pass
def add(number):
    store.add_trace(TraceRecord(str(number), "ALLOW", 0.0, {"text": "x" * 3000}))
added = 0
fill()
try:
    while added < 1000:
        add(added)
        added += 1
except StoreError as error:
    print(error.problem, error)
assert store.works() is False
assert store.decisions().get("ALLOW", 0) == added
os.truncate("filler", 0)
assert store.works() is True
add("more")
assert store.decisions() == {"ALLOW": added + 1}
store.close()
store = Store("store.db")
assert store.decisions() == {"ALLOW": added + 1}
assert all(store.trace(str(number)) for number in range(added))
store.close()
"""

MOUNT = 'mount -t tmpfs -o size=600k full "$1" && cd "$1" && exec "$2" -c "$3"'


def unshare(*command: str) -> list[str]:
    return ["unshare", "--map-root-user", "--mount", *command]


def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(unshare("mount", "-t", "tmpfs", "tried", "/mnt"), capture_output=True)
    return tried.returncode == 0


@pytest.mark.skipif(not can_mount(), reason="this user cannot mount a file system of its own")
def test_a_full_disk(tmp_path: Path) -> None:
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = unshare("sh", "-c", MOUNT, "sh", str(tmp_path), sys.executable, FULL)
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "full store.db cannot grow (database or disk is full): free space on its disk\n"
