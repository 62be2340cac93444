"""`hestiaos audit`: of the local store, of a store's file, and of a server."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from tests.support.command_line import invoke

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture(params=["served", "local", "store"])
def where(request: pytest.FixtureRequest, home: Path) -> list[str]:
    """The options that name an audit of two executions."""
    place = ["-u", request.getfixturevalue("server_url")] if request.param == "served" else ["--local"]
    for text in ("x", "y"):
        assert invoke("run", text, *place).status == 0
    [*store] = home.rglob("*.sqlite3")
    return ["--store", str(store[0])] if request.param == "store" else place


def test_it_is_intact(where: list[str]) -> None:
    done = invoke("audit", "verify", *where)
    assert done.status == 0
    intact, _, head = done.stdout.split(maxsplit=2)
    assert intact == "intact;"
    assert head.startswith("4, head: 4:")
    known = invoke("audit", "verify", *where, "-q", "head").stdout.strip()
    assert invoke("audit", "verify", *where, "--known", known).status == 0
    wrong = invoke("audit", "verify", *where, "--known", f"9:{'ab' * 32}")
    assert (wrong.status, wrong.stdout) == (1, "record 5: the log ends before the known entry 9\n")
    assert invoke("audit", "verify", *where, "--known", "9").status == 1


def test_it_is_exported_so_that_anybody_can_check_it(where: list[str]) -> None:
    lines = [json.loads(line) for line in invoke("audit", "export", *where).stdout.splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, 4]
    before = bytes(32)
    for line in lines:
        record = json.dumps(line["record"], separators=(",", ":"), ensure_ascii=False)
        assert line["previous"] == before.hex()
        before = sha256(before + record.encode()).digest()
        assert line["hash"] == before.hex()
    assert len(invoke("audit", "export", *where, "--after", "3").stdout.splitlines()) == 1


def test_each_change_is_told_with_its_place(home: Path) -> None:
    for text in ("x", "y"):
        assert invoke("run", text, "--local").status == 0
    [path] = home.rglob("*.sqlite3")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM log WHERE number = 2")
    done = invoke("audit", "verify", "--store", str(path))
    assert (done.status, done.stdout) == (1, "record 2: the entry 2 is missing\n")
    report = invoke("audit", "verify", "--local", "--json")
    assert (report.status, report.json["intact"]) == (1, False)
    assert report.json["faults"] == [{"number": 2, "what": "the entry 2 is missing"}]


def test_an_empty_one(home: Path) -> None:
    assert invoke("audit", "verify", "--local").stdout == f"intact; records: 0, head: 0:{'00' * 32}\n"
    assert invoke("audit", "export", "--local").stdout == ""
    assert list(home.rglob("*.sqlite3")) == []  # looking makes no store


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "none.sqlite3"
    assert invoke("audit", "verify", "--store", str(path)).error == f"{path}: there is no such file"
    assert not path.exists()
    ended = invoke("audit", "verify", "--store", str(path), "--local")
    assert (ended.status, ended.error.partition(":")[0]) == (2, "--store names a file, which needs no server")
