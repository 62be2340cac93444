"""Lists of what `--local` has: agents, traces, secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import invoke

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize("command", [("agents", "list"), ("trace", "list"), ("secrets", "list")])
def test_a_server_has_no_such_list(command: tuple[str, ...]) -> None:
    ended = invoke(*command)
    assert ended.status == 2
    assert f"'hestiaos --local {' '.join(command)}' lists those of --local" in ended.error


@pytest.mark.parametrize("command", [("agents", "list"), ("trace", "list"), ("secrets", "list")])
def test_an_empty_list(home: Path, command: tuple[str, ...]) -> None:
    assert invoke("--local", *command).stdout == ""
    assert invoke("--local", *command, "--json").json == []
    assert invoke("--local", *command, "-q", "key").stdout == ""
    assert list(home.rglob("*.sqlite3")) == []  # looking makes no store


def test_agents(home: Path) -> None:
    config = home / ".config/hestiaos/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        'version = 1\n[[agents]]\nid = "researcher"\nsystem = "You look\\nthings up."\ntools = ["search", "read"]\n'
        'timeout_ms = 1500\n[[agents]]\nid = "b"\n'
    )
    assert invoke("--local", "agents", "list").stdout == (
        "researcher  -  read, search  You look things up.\nb           -  -             -\n"
    )
    assert invoke("--local", "agents", "list", "-q", "id").stdout == "researcher\nb\n"
    assert invoke("--local", "agents", "list", "--json").json[0] == {
        "id": "researcher",
        "model": None,
        "tools": ["read", "search"],
        "max_tokens": None,
        "timeout_ms": 1500,
        "system": "You look\nthings up.",
    }
    config.write_text("version = 1\n[[agents]]\nsystem = 1\n")
    ended = invoke("--local", "agents", "list")
    assert ended.status == 2
    assert "line 3: agents[0].system must be a string" in ended.error


def test_traces() -> None:
    ids = [
        invoke("--local", "run", text, "-q", "trace_id").stdout.strip()
        for text in ("first", "update all users", "a\x1b")
    ]
    assert invoke("--local", "run", "rm -rf /").status == 1
    assert invoke("--local", "trace", "list", "-q", "input").stdout.splitlines() == [
        "rm -rf /",
        "a\x1b",
        "update all users",
        "first",
    ]
    newest, *_ = invoke("--local", "trace", "list", "--last", "1").stdout.splitlines()
    assert newest.split()[1:3] == ["BLOCK", "blocked"]
    assert newest.endswith("rm -rf /")
    [row] = invoke("--local", "trace", "list", "--decision", "throttle", "--json").json
    assert row.pop("time").endswith("+00:00")
    assert row.pop("reason")
    assert row == {
        "trace_id": ids[1],
        "decision": "THROTTLE",
        "outcome": "completed",
        "command_type": "RUN",
        "input": "update all users",
    }
    assert "\x1b" not in invoke("--local", "trace", "list").stdout
    for last in (2, 20):
        assert len(invoke("--local", "trace", "list", "--last", str(last)).stdout.splitlines()) == min(last, 4)
    assert invoke("--local", "trace", ids[0], "-q", "decision").stdout == "ALLOW\n"


def test_options_of_a_list_for_one_trace() -> None:
    for options in (("--last", "1"), ("--decision", "ALLOW")):
        ended = invoke("--local", "trace", "some-id", *options)
        assert ended.status == 2
        assert "hestiaos --local trace list" in ended.error


def test_secrets() -> None:
    for key in ("b", "a/b"):
        assert invoke("--local", "secrets", "set", key, stdin=b"s3cret").status == 0
    assert invoke("--local", "secrets", "list").stdout == "a/b\nb\n"
    assert invoke("--local", "secrets", "list", "--json").json == [{"key": "a/b"}, {"key": "b"}]
