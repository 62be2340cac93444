"""Lists of what `--local` and a server have: agents, traces, secrets, approvals."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hestiaos_local import Platform, Policy
from tests.support.command_line import invoke
from tests.support.scripted_answers import serve_once

pytestmark = pytest.mark.usefixtures("home")
pytest.importorskip("re2")


@pytest.fixture
def where(request: pytest.FixtureRequest) -> list[str]:
    """The options that name the platform."""
    return ["-u", request.getfixturevalue("server_url")] if request.param else ["--local"]


EVERYWHERE = pytest.mark.parametrize("where", [True, False], ids=["served", "local"], indirect=True)
LISTS = pytest.mark.parametrize(
    "command", [("agents", "list"), ("trace", "list"), ("secrets", "list"), ("approvals", "list")], ids=" ".join
)


@LISTS
def test_an_empty_list(home: Path, command: tuple[str, ...]) -> None:
    assert invoke("--local", *command).stdout == ""
    assert invoke("--local", *command, "--json").json == []
    assert invoke("--local", *command, "-q", "key").stdout == ""
    assert list(home.rglob("*.sqlite3")) == []  # looking makes no store


@LISTS
def test_a_server_that_has_no_such_list(command: tuple[str, ...]) -> None:
    ended = invoke(*command, "-u", serve_once(b"404 Not Found", b"application/json", b'{"detail":"Not Found"}'))
    assert ended.status == 1
    assert ended.error.startswith("[UNKNOWN_OPERATION] the server does not have the operation list_")
    assert ended.error.endswith("it is of an older version than this command: update the server")


def test_a_list_inside_a_row_that_is_not_of_texts() -> None:
    url = serve_once(
        b"200 OK", b"application/json", b'{"agents": [{"agent_id": "a", "tools": [1, {"name": "search"}]}]}'
    )
    assert invoke("agents", "list", "-u", url).stdout == "a  -  1, {'name': 'search'}  -\n"


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
    assert invoke("--local", "agents", "list", "-q", "agent_id").stdout == "researcher\nb\n"
    assert invoke("--local", "agents", "list", "--json").json[0] == {
        "agent_id": "researcher",
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


@EVERYWHERE
def test_traces(where: list[str]) -> None:
    ids = [
        invoke(*where, "run", text, "-q", "trace_id").stdout.strip() for text in ("first", "update all users", "a\x1b")
    ]
    assert invoke(*where, "run", "rm -rf /").status == 1
    assert invoke(*where, "trace", "list", "-q", "input").stdout.splitlines() == [
        "rm -rf /",
        "a\x1b",
        "update all users",
        "first",
    ]
    newest, *_ = invoke(*where, "trace", "list", "--last", "1").stdout.splitlines()
    assert re.match(r"\d\d-\d\d \d\d:\d\d:\d\d  BLOCK  \S{36}  ", newest)
    assert newest.endswith("rm -rf /")
    [row] = invoke(*where, "trace", "list", "--decision", "throttle", "--json").json
    assert row["timestamp"].endswith("+00:00")
    assert row["reason"]
    assert {name: row[name] for name in ("trace_id", "decision", "outcome", "command_type", "input")} == {
        "trace_id": ids[1],
        "decision": "THROTTLE",
        "outcome": "completed",
        "command_type": "RUN",
        "input": "update all users",
    }
    assert "\x1b" not in invoke(*where, "trace", "list").stdout
    for last in (2, 20):
        assert len(invoke(*where, "trace", "list", "--last", str(last)).stdout.splitlines()) == min(last, 4)
    assert invoke(*where, "trace", "list", "--before", ids[1], "-q", "trace_id").stdout == f"{ids[0]}\n"
    assert invoke(*where, "trace", ids[0], "-q", "decision").stdout == "ALLOW\n"


def test_a_field_is_printed_alone_with_json_too(home: Path) -> None:
    assert invoke("--local", "run", "x", "--json", "-q", "mode").stdout == "ALLOW\n"
    assert invoke("--local", "run", "x", "--json", "-q", "mode", "--stream").stdout == "ALLOW\n"
    assert invoke("--local", "trace", "list", "--json", "-q", "decision").stdout == "ALLOW\nALLOW\n"


def test_options_of_a_list_for_one_trace() -> None:
    for options in (("--last", "1"), ("--decision", "ALLOW"), ("--before", "id")):
        ended = invoke("--local", "trace", "some-id", *options)
        assert ended.status == 2
        assert f"{options[0]} is for a list: hestiaos trace list" in ended.error


def test_models(home: Path, serve_platform: Callable[..., str]) -> None:
    url = serve_platform(api_key="right")
    assert invoke("models", "-u", url, "-k", "right").stdout == "hestia-local\n"
    assert invoke("models", "-u", url, "-k", "wrong").error.startswith("[AUTHENTICATION_FAILED] the server does not")
    assert invoke("models", "-u", ":1").error.startswith("[CONNECT_FAILED]")
    assert invoke("--local", "models").stdout == ""
    config = home / ".config/hestiaos/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('version = 1\n[[models]]\nname = "small"\nurl = "http://localhost:11434/v1"\n')
    assert invoke("--local", "models").stdout == "small\n"
    assert invoke("--local", "models", "--json").json[0]["url"] == "http://localhost:11434/v1"


@pytest.mark.parametrize(
    ("head", "body", "told"),
    [
        (b"200 OK", b"[]", "was not answered with a list of models"),
        (b"200 OK", b"<html>", "was not answered with a list of models"),
        (b"404 Not Found", b'{"detail":"Not Found"}', "was answered with 404"),
    ],
)
def test_a_server_without_a_list_of_models(head: bytes, body: bytes, told: str) -> None:
    ended = invoke("models", "-u", serve_once(head, b"application/json", body))
    assert ended.status == 1
    assert told in ended.error


LIMITS = """
version = 2
[[limits]]
name = "calls"
per = "session"
requests = 5
window = "1m"
[[limits]]
name = "spent"
per = "all"
tokens = 100000
window = "1h"
"""


@pytest.mark.parametrize("served", [True, False], ids=["served", "local"])
def test_limits(served: bool, home: Path, serve_platform: Callable[..., str]) -> None:
    where = ["--local"]
    if served:
        where = ["-u", serve_platform(platform=Platform(policy=Policy.parse(LIMITS, "limits.toml")))]
    else:
        config = home / ".config/hestiaos/config.toml"
        config.parent.mkdir(parents=True)
        config.with_name("limits.toml").write_text(LIMITS)
        config.write_text('policy = "limits.toml"\n')
    shown = invoke(*where, "governance", "limits").stdout
    assert [line.split() for line in shown.splitlines()] == [
        ["calls", "session", "-", "0/5", "-", "60", "s"],
        ["spent", "all", "-", "-", "0/100000", "3600", "s"],
    ]
    for session in ("a", "a", "b"):
        assert invoke(*where, "run", "x", "--session-id", session).status == 0
    shown = invoke(*where, "governance", "limits").stdout
    assert [line.split()[2:4] for line in shown.splitlines()[:2]] == [["a", "2/5"], ["b", "1/5"]]
    assert invoke(*where, "governance", "limits", "-q", "limits.0.used.1.requests").stdout == "1\n"
    assert invoke(*where, "governance", "limits", "--json").json["limits"][1]["tokens"] == 100000


def test_a_policy_without_limits() -> None:
    ended = invoke("--local", "governance", "limits", "-v")
    assert (ended.status, ended.stdout) == (0, "")
    assert "the policy has no limits" in ended.stderr


def test_what_a_limit_refused_is_not_listed_as_allowed(home: Path) -> None:
    config = home / ".config/hestiaos/config.toml"
    config.parent.mkdir(parents=True)
    config.with_name("limits.toml").write_text(LIMITS.replace("requests = 5", "requests = 1"))
    config.write_text('policy = "limits.toml"\n')
    assert invoke("--local", "run", "first", "--session-id", "a").status == 0
    assert invoke("--local", "run", "second", "--session-id", "a").status == 1
    refused, allowed = invoke("--local", "trace", "list").stdout.splitlines()
    assert "  THROTTLE, blocked  " in refused
    assert "  ALLOW  " in allowed.replace("ALLOW              ", "ALLOW  ")


@EVERYWHERE
def test_secrets(where: list[str]) -> None:
    for key in ("b", "a/b"):
        assert invoke(*where, "secrets", "set", key, stdin=b"s3cret").status == 0
    assert invoke(*where, "secrets", "list").stdout == "a/b\nb\n"
    assert invoke(*where, "secrets", "list", "--json").json == [{"key": "a/b"}, {"key": "b"}]
