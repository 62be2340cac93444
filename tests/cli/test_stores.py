"""`hestiaos store copy`, and stores that are named by a URL."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from hestiaos_local.storage import Store, verify_log
from tests.support.command_line import invoke
from tests.support.storages import trace

pytestmark = pytest.mark.usefixtures("home")

URL = "postgresql://hestia:swordfish@127.0.0.1:1/db?password=swordfish"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.db"
    with closing(Store(file)) as store:
        store.add_trace(trace("a"))
        store.set_secret("k", "v", "vault")
    return file


def test_a_store_is_copied(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    ended = invoke("store", "copy", str(source), str(target), "--json")
    assert (ended.status, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {
        "log": 1,
        "traces": 1,
        "decisions": 1,
        "counters": 0,
        "approvals": 0,
        "sessions": 0,
        "messages": 0,
        "results": 0,
        "secrets": 1,
    }
    with closing(Store(target)) as store:
        assert (store.trace("a"), store.secret("k")) == (trace("a"), "v")
        assert verify_log(store).ok
    ended = invoke("store", "copy", str(source), str(target))
    assert (ended.status, ended.stdout) == (1, "")
    assert f"{target} is not empty: name another store, or replace what is in it with --replace" in ended.stderr
    ended = invoke("store", "copy", str(source), str(target), "--replace")
    assert (ended.status, ended.stdout.splitlines()[:2]) == (0, ["log: 1", "traces: 1"])


def test_a_source_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    ended = invoke("store", "copy", str(tmp_path / "nothing.db"), str(tmp_path / "target.db"))
    assert (ended.status, "there is no such file" in ended.stderr) == (1, True)
    assert list(tmp_path.glob("*.db")) == []


@pytest.mark.parametrize(
    "typed",
    [
        ("audit", "verify", "--store", URL),
        ("store", "copy", URL, "target.db"),
        ("serve", "--port", "0", "--store", URL),
        ("--local", "trace", "list", "--config", "config.toml"),
        ("local", "path", "--config", "config.toml"),
        ("config", "show", "--config", "config.toml"),
    ],
)
def test_a_password_is_not_shown(typed: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(f'store = "{URL}"\n')
    ended = invoke(*typed)
    assert "127.0.0.1:1/db" in ended.stdout + ended.stderr
    assert "swordfish" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("place", ["postgresql:x", "postgres:/h/x", "mysql://h/x"])
def test_a_misspelt_url_is_not_the_name_of_a_file(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = invoke("serve", "--port", "0", "--store", place)
    assert done.status == 2
    assert f"a store cannot be at {place.partition(':')[0]}:…" in done.error
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
