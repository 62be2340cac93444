"""Every command with a model behind it: of a server, and with `--local`, by one configuration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Ended, invoke
from tests.support.model_servers import FakeServer
from tests.support.served_process import ServedProcess

CONFIGURATION = """\
version = 1

[[models]]
name = "fake"
url = "{url}"
model = "gpt-4o"

[[agents]]
id = "poet"
system = "Rhyme."
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory."""
    for name in ("HESTIAOS_API_KEY", "HESTIAOS_BASE_URL", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def config(home: Path, fake: FakeServer) -> Path:
    path = home / ".config/hestiaos/config.toml"  # where --local and serve look for it
    path.parent.mkdir(parents=True)
    path.write_text(CONFIGURATION.format(url=fake.url))
    return path


@pytest.fixture(params=["served", "local"])
def where(request: pytest.FixtureRequest, config: Path) -> Iterator[list[str]]:
    """The options that name the platform."""
    if request.param == "local":
        yield ["--local"]
        return
    with ServedProcess() as server:
        yield ["-u", server.url]


def done(*arguments: str, stdin: bytes | None = None) -> Ended:
    """What a command came to that must not fail."""
    ended = invoke(*arguments, stdin=stdin)
    assert ended.status == 0, ended
    return ended


def test_every_command_that_asks_a_platform(where: list[str], tmp_path: Path) -> None:
    answer = done("run", "good morning", *where).stdout
    assert answer.strip()
    assert not answer.startswith("processed: ")  # which is the echo's
    assert done("run", "good morning", "--stream", *where).stdout == answer
    lines = done("run", "good morning", "--stream", "--json", *where).stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines][:: len(lines) - 1] == ["start", "done"]
    assert done("run", "rm -rf /", "--explain", *where, "-q", "decision").stdout == "BLOCK\n"

    first = done("chat", "good morning", *where, "--json").json
    assert first["model"]
    again = done("chat", "-c", "and good night", "--stream", *where, "-q", "session_id").stdout
    assert again.strip() == first["session_id"]

    assert done("agents", "run", "poet", "good morning", *where).stdout.strip()
    unknown = invoke("agents", "run", "painter", "good morning", *where)
    assert unknown.status == 1
    assert "known agents: poet" in unknown.error

    (tmp_path / "inputs").write_text("good morning\ngood evening\n")
    records = done("batch", str(tmp_path / "inputs"), *where).stdout.splitlines()
    assert [json.loads(line)["input"] for line in records] == ["good morning", "good evening"]
    assert json.loads(records[0])["result"] == answer.removesuffix("\n")

    trace_id = done("run", "update all users", *where, "-q", "trace_id").stdout.strip()
    assert done("trace", trace_id, *where, "-q", "decision").stdout == "THROTTLE\n"
    assert done("governance", "trace", trace_id, *where, "-q", "outcome").stdout == "completed\n"
    assert "decision: ALLOW\n" in done("governance", "explain", "WRITE", "path=/tmp/x", *where).stdout
    assert "stability_score: " in done("governance", "status", *where).stdout

    assert done("agents", "list", *where, "-q", "agent_id").stdout == "poet\n"
    assert done("trace", "list", "--last", "1", *where, "-q", "trace_id").stdout.strip() == trace_id
    assert done("policy", "show", *where, "-q", "name").stdout == "default\n"
    assert done("policy", "explain", "rm -rf /", *where, "-q", "decision").stdout == "BLOCK\n"
    assert done("approvals", "list", *where, "--json").json == []
    assert done("audit", "verify", *where, "-q", "intact").stdout == "true\n"
    assert trace_id in done("audit", "export", *where).stdout

    assert done("health", *where, "-q", "status").stdout == "ok\n"
    assert "ollama: true\n" in done("system", "status", *where).stdout
    assert done("system", "config", *where, "-q", "model").stdout == "fake\n"
    assert "requests_total: " in done("system", "metrics", *where).stdout
    assert done("secrets", "set", "k", *where, stdin=b"v").status == 0
    assert done("secrets", "get", "k", *where).stdout == "v\n"
    assert done("secrets", "list", *where).stdout == "k\n"
    assert done("secrets", "delete", "k", *where).status == 0
    asked = json.dumps({"input": "good morning"})
    assert done("api", "POST", "/api/v1/run", "-d", asked, *where).json["result"] == answer.removesuffix("\n")


def test_the_commands_of_a_server(config: Path) -> None:
    with ServedProcess() as server:
        assert done("doctor", "-u", server.url).stdout.count("ok  ") == 7
        assert "is kept" in done("login", "-u", server.url).stderr
        assert done("profile", "list").stdout == f"* default  {server.url}\n"
        assert done("run", "good morning").stdout.strip()


def test_the_commands_of_a_configuration(config: Path) -> None:
    assert done("config", "path").stdout == f"{config}\n"
    assert "poet" in done("config", "show").stdout


def test_a_model_server_that_is_gone(home: Path) -> None:
    path = home / "config.toml"
    path.write_text(CONFIGURATION.format(url="http://127.0.0.1:1/v1"))
    told = invoke("--local", "run", "x", "--config", str(path)).error
    assert "MODEL_" in told
    assert "http://127.0.0.1:1" in told
