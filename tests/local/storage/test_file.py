"""The file of a store: who may use it, and the files that it does not touch."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from hestiaos_local.storage import Store, StoreError
from tests.support.broad import BROAD
from tests.support.storages import python, trace

EVERY_FILE = [f"store.db{suffix}" for suffix in ("", "-shm", "-wal")]


def refused(path: object) -> StoreError:
    with pytest.raises(StoreError) as caught:
        Store(path)  # type: ignore[arg-type]
    return caught.value


def modes(directory: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(directory.rglob("*"))}


def sqlite_file(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def test_a_file_is_kept_and_is_the_users_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / "deep" / "store.db"
    first = Store(file)
    assert (first.kind, first.blocking) == ("sqlite", True)
    first.add_trace(trace("a"))
    assert modes(tmp_path) == {"new": 0o700, "deep": 0o700} | dict.fromkeys(EVERY_FILE, 0o600)
    first.close()
    assert os.listdir(file.parent) == ["store.db"]
    second = Store(file)
    assert second.trace("a") == trace("a")
    second.close()


def test_a_store_that_is_dropped_is_closed(tmp_path: Path) -> None:
    Store(tmp_path / "store.db").add_trace(trace("a"))
    assert os.listdir(tmp_path) == ["store.db"]  # SQLite removes its log with the last connection


def test_a_relative_path_is_that_of_the_directory_at_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    store = Store("a b?#%.db")
    monkeypatch.chdir(tmp_path / "other")
    store.add_trace(trace("a"))
    assert store.trace("a") is not None
    store.close()
    assert sorted(os.listdir(tmp_path)) == ["a b?#%.db", "other"]


@BROAD
def test_processes_share_a_file(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    code = (
        "import sys; from hestiaos_local.storage import Store, TraceRecord\n"
        "store = Store(sys.argv[1], busy_timeout=30.0)\n"
        "for n in range(20):\n"
        "    store.add_trace(TraceRecord(f'{sys.argv[2]}.{n}', 'ALLOW', 0.0, {}))\n"
    )
    # All at once make the file, and then write to it.
    processes = [python(code, file, number) for number in range(6)]
    assert [(process.communicate()[0], process.returncode) for process in processes] == [("", 0)] * 6
    store = Store(file)
    assert store.decisions() == {"ALLOW": 120}
    assert store.trace("5.19") is not None
    store.close()


def test_what_is_not_a_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    text, short, foreign, numbered, newer = (tmp_path / name for name in "abcde")
    text.write_text("a letter to my aunt\n" * 100)
    text.chmod(0o664)
    short.write_text("x")
    sqlite_file(foreign, "CREATE TABLE bookmarks (url)")
    sqlite_file(numbered, "PRAGMA user_version = 3")
    Store(newer).close()
    sqlite_file(newer, "PRAGMA user_version = 1000")
    for path, problem, told in [
        (text, "foreign", "is not a SQLite database (file is not a database): choose another file"),
        (short, "foreign", "is not a SQLite database: choose another file"),
        (foreign, "foreign", "is the database of another program: choose another file"),
        (numbered, "foreign", "is the database of another program: choose another file"),
        (newer, "newer", "was written by a newer version: install that version, or choose another file"),
    ]:
        before = path.read_bytes()
        error = refused(path)
        assert (str(error), error.problem, error.retry_after) == (f"{path} {told}", problem, None)
        assert path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == list("abcde")
    assert stat.S_IMODE(text.stat().st_mode) == 0o664


def test_a_path_that_cannot_be_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, told in [
        (tmp_path, f"{tmp_path} is a directory: name a file in it"),
        (
            f"{tmp_path}/file/store.db",
            f"{tmp_path}/file/store.db cannot be opened (Not a directory): choose another file",
        ),
        ("/dev/null", "/dev/null is not a file: choose another one"),
        ("", "the store's path is empty: name a file"),
    ]:
        assert str(refused(path)) == told


def test_a_path_that_no_file_can_have() -> None:
    with pytest.raises(StoreError, match=r"^a\0b cannot be opened \(.*embedded null .*\): choose another file$"):
        Store("a\0b")


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
    assert modes(tmp_path) == dict.fromkeys(EVERY_FILE, 0o600)
    store.close()
    if first is not None:
        first.close()


def as_nobody(code: str, *arguments: object) -> str:
    """What `code` prints where nothing is allowed that the system does not allow everybody; root is told otherwise."""
    drop = "import os\nif os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    # Imported before, as the files of the project may be root's alone.
    process = python(f"import sys\nfrom hestiaos_local.storage import *\n{drop}{code}", *arguments)
    told, _ = process.communicate()
    assert process.returncode == 0, told
    return told


OPEN = """
try:
    Store(sys.argv[1])
except StoreError as error:
    print(error.problem, error)
"""


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user reaches, which pytest's own is not."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o777)
        yield directory


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="this system has no users to be")
def test_a_file_that_may_not_be_written(open_directory: Path) -> None:
    file = open_directory / "store.db"
    Store(file).close()
    file.chmod(0o444)
    assert as_nobody(OPEN, file) == f"read_only {file} may not be written by this user: choose another file\n"


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="this system has no users to be")
@pytest.mark.parametrize("is_there", [True, False])
def test_a_directory_that_may_not_be_written(open_directory: Path, is_there: bool) -> None:
    directory = open_directory / "directory"
    directory.mkdir()
    file = directory / "store.db"
    if is_there:
        Store(file).close()
        file.chmod(0o666)
    directory.chmod(0o555)
    told = f"{file} is in a directory that this user may not write to ({directory}): choose another one"
    assert as_nobody(OPEN, file) == f"read_only {told}\n"


IN_USE = """
from pathlib import Path
directory = Path(sys.argv[1]) / "directory"
directory.mkdir()
store = Store(directory / "store.db")
def use(mode, name):
    directory.chmod(mode)
    try:
        store.add_trace(TraceRecord(name, "ALLOW", 0.0, {}))
        print(name, store.works())
    except StoreError as error:
        print(name, store.works(), error.problem, str(error).removeprefix(str(directory)))
use(0o755, "first")
use(0o555, "no new file")
use(0o000, "not entered")
use(0o755, "as before")
directory.chmod(0o555)
store.close()
directory.chmod(0o755)
print(*(trace.trace_id for trace in Store(directory / "store.db").traces()), sep=", ")
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="this system has no users to be")
def test_a_directory_that_may_not_be_used_any_more(open_directory: Path) -> None:
    """A file that is open is written all the same; one whose name cannot be seen is not."""
    assert as_nobody(IN_USE, open_directory).splitlines() == [
        "first True",
        "no new file True",
        "not entered False read_only /store.db is in a directory that this user may not enter any more: allow it again",
        "as before True",
        "as before, no new file, first",
    ]
