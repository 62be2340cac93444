"""The commands that have no file of their own, with `--local` and against a served platform."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import PROGRAM, invoke, shell
from tests.support.peer import Peer
from tests.support.steps import Request, Script, send
from tests.support.wire import HEALTH, ok, response

pytestmark = pytest.mark.usefixtures("home")

WHERE = pytest.mark.parametrize("served", [True, False], ids=["served", "local"])


@pytest.fixture
def where(request: pytest.FixtureRequest) -> list[str]:
    """The options that name the platform."""
    return ["-u", request.getfixturevalue("server_url")] if request.param else ["--local"]


EVERYWHERE = pytest.mark.parametrize("where", [True, False], ids=["served", "local"], indirect=True)


@EVERYWHERE
def test_every_operation_of_the_description(where: list[str]) -> None:
    trace_id = invoke("run", "update all users", *where, "-q", "trace_id").stdout.strip()
    assert "decision: THROTTLE\n" in invoke("trace", trace_id, *where).stdout
    assert "input: update all users\n" in invoke("governance", "trace", trace_id, *where).stdout
    assert "decision: ALLOW\n" in invoke("governance", "explain", "WRITE", '{"path": "/tmp/test"}', *where).stdout
    assert "decision: BLOCK\n" in invoke("run", "rm -rf /", "--explain", *where).stdout
    assert "stability_score: " in invoke("governance", "status", *where).stdout
    assert invoke("chat", "hello", *where).stdout == "processed: hello\n"
    assert invoke("agents", "run", "agent-1", "analyze data", *where).stdout == "processed: analyze data\n"
    assert "status: ok\n" in invoke("health", *where).stdout
    assert "status: OK\n" in invoke("system", "status", *where).stdout
    assert invoke("system", "config", *where, "--json").json["model"]
    assert "requests_total: " in invoke("system", "metrics", *where).stdout
    assert invoke("secrets", "set", "a/b", *where, stdin=b"value\n").status == 0
    assert invoke("secrets", "get", "a/b", *where).stdout == "value\n"
    assert invoke("secrets", "delete", "a/b", *where).status == 0
    assert invoke("secrets", "get", "a/b", *where).status == 1


@EVERYWHERE
def test_the_latest_conversation_goes_on(where: list[str]) -> None:
    assert "no conversation" in invoke("chat", "-c", "hello", *where).error
    first = invoke("chat", "hello", *where, "-q", "session_id").stdout
    assert invoke("chat", "-c", "more", *where, "-q", "session_id").stdout == first
    assert invoke("chat", "other", *where, "-q", "session_id").stdout != first


@EVERYWHERE
def test_any_request(where: list[str]) -> None:
    done = invoke("api", "post", "/api/v1/run", "-d", '{"input": "x"}', "-i", *where)
    assert done.json["result"] == "processed: x"
    assert "< 200" in done.stderr
    assert invoke("api", "/api/v1/run", "-f", "input=a=b", *where).json["result"] == "processed: a=b"
    assert invoke("api", "/api/v1/health", *where).json["status"] == "ok"
    missing = invoke("api", "GET", "/api/v1/nothing", *where)
    assert missing.status == 1
    assert json.loads(missing.stdout)["code"] == "UNKNOWN_OPERATION"
    piped = invoke("api", "POST", "/api/v1/run/stream", "-d", "-", *where, stdin=b'{"input": "x"}')
    assert 'data: {"type":"done"' in piped.stdout


def test_watching_prints_again_and_again(server_url: str) -> None:
    command = [PROGRAM, "system", "metrics", "--watch", "0.1", "--json", "-u", server_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        totals = [json.loads(process.stdout.readline())["requests_total"] for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == -signal.SIGINT
    assert totals == sorted(set(totals))


@pytest.mark.parametrize("as_json", [True, False])
def test_a_served_platform_logs_its_requests(as_json: bool) -> None:
    options = ["--json"] if as_json else []
    with subprocess.Popen(
        [PROGRAM, "serve", "--port", "0", "--token-delay", "0", *options], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        first = server.stderr.readline()
        found = re.search(r"http://[\d.:]+", first)
        assert found is not None
        for arguments in (["run", "x"], ["run", "x", "--stream"], ["run", "rm -rf /"], ["health"]):
            invoke(*arguments, "-u", found[0])
        lines = [server.stderr.readline() for _ in range(4)]
        server.send_signal(signal.SIGINT)
        rest = server.stderr.read()
        assert server.wait(60) == 0
    if as_json:
        assert json.loads(first) == {"url": found[0]}
        logged = [json.loads(line) for line in lines]
        assert [(each["path"], each["status"], each.get("decision")) for each in logged] == [
            ("/api/v1/run", 200, "ALLOW"),
            ("/api/v1/run/stream", 200, "ALLOW"),
            ("/api/v1/run", 403, "BLOCK"),
            ("/api/v1/health", 200, None),
        ]
        assert logged[1]["outcome"] == "completed"
        assert all(each["trace_id"] for each in logged[:3])
        assert rest == ""
    else:
        assert [line.split()[1:5] for line in lines[:3]] == [
            ["POST", "/api/v1/run", "200", "ALLOW"],
            ["POST", "/api/v1/run/stream", "200", "ALLOW"],
            ["POST", "/api/v1/run", "403", "BLOCK"],
        ]
        assert lines[3].split()[1:4] == ["GET", "/api/v1/health", "200"]
        assert rest == "stopped\n"


def test_doctor(serve_platform: Callable[..., str]) -> None:
    done = invoke("doctor", "-u", serve_platform(token_delay=0.02))
    assert done.status == 0
    assert [line.split()[1] for line in done.stdout.splitlines()] == [
        *("proxy", "name", "TCP", "HTTP", "key", "version", "stream")
    ]
    assert done.stdout.splitlines()[-1].endswith("as they were sent")


@pytest.mark.parametrize(
    ("url", "step"), [("http://nothing.invalid", "name"), (":1", "TCP"), ("server", "key"), ("https", "TLS")]
)
def test_doctor_ends_at_the_first_that_fails(serve_platform: Callable[..., str], url: str, step: str) -> None:
    served = serve_platform(api_key="key")
    url = {"server": served, "https": served.replace("http:", "https:")}.get(url, url)
    done = invoke("doctor", "-u", url, "--json", "--timeout", "5")
    assert done.status == 1
    told = json.loads(done.stdout)
    assert not told["works"]
    assert [each["name"] for each in told["steps"] if not each["works"]] == [step] == [told["steps"][-1]["name"]]
    assert told["steps"][-1]["hint"]


def test_doctor_finds_tls_where_http_is_asked_for() -> None:
    import ssl

    import trustme

    from tests.support.peer import Peer

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Peer(tls=context) as peer:
        done = invoke("doctor", "-u", peer.url.replace("https:", "http:"))
    assert done.status == 1
    assert done.stderr.endswith("it speaks TLS: its URL begins with https://\n")


def sent_at_once(seconds: float) -> bytes:
    """A stream that arrives at once, and says that its events were made so many seconds apart."""
    events = b""
    for number, kind in enumerate(("start", "token", "final", "done")):
        event = {"type": kind, "data": {"text": "x"}, "timestamp": f"2026-01-01T00:00:{number * seconds:06.3f}+00:00"}
        events += b"data: %s\n\n" % json.dumps(event).encode()
    return events


@pytest.mark.parametrize("buffered", [1, 2, 3])
def test_doctor_finds_what_buffers(buffered: int) -> None:
    """A machine that stalls makes one stream look as if it were."""
    streams = [sent_at_once(1.0)] * buffered + [sent_at_once(0.0)]

    def answer(request: Request) -> Script:
        if request.target.endswith("/stream"):
            return [send(response(200, streams.pop(0), content_type="text/event-stream"))]
        return [send(ok(HEALTH))]

    with Peer(answer=answer) as peer:
        done = invoke("doctor", "-u", peer.url)
    assert done.status == (1 if buffered == 3 else 0)
    assert ("proxy_buffering off" in done.stderr) == (buffered == 3)


def test_doctor_finds_a_run_that_fails() -> None:
    events = (
        {"type": "start", "data": {"mode": "ALLOW", "budget": 1}},
        {"type": "error", "data": {"code": "MODEL_UNREACHABLE", "message": "no model server"}, "trace_id": "a23c"},
        {"type": "done", "data": {}},
    )
    body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)

    def answer(request: Request) -> Script:
        if request.target.endswith("/stream"):
            return [send(response(200, body, content_type="text/event-stream"))]
        return [send(ok(HEALTH))]

    with Peer(answer=answer) as peer:
        done = invoke("doctor", "-u", peer.url)
    assert done.status == 1
    assert done.stderr == "Error: stream: [MODEL_UNREACHABLE] no model server; see 'hestiaos trace a23c'\n"


def test_the_configuration_is_one_for_all(home: Path, tmp_path: Path) -> None:
    path = Path(invoke("config", "path").stdout.strip())
    assert path == home / ".config/hestiaos/config.toml"
    assert "no configuration file yet" in invoke("config", "show").error
    policy = (
        'version = 1\n[[rules]]\nname = "all"\non = "input"\npattern = "."\ndecision = "BLOCK"\nrisk = 1\nreason = "no"'
    )
    path.parent.mkdir(parents=True)
    (path.parent / "policy.toml").write_text(policy)
    path.write_text('policy = "policy.toml"\n')
    assert "rule all" in invoke("--local", "run", "x").error
    assert invoke("config", "show").stdout == f"policy: {path.parent / 'policy.toml'}\n"
    other = tmp_path / "other.toml"
    other.write_text('store = "own.sqlite3"\n')
    assert invoke("--local", "run", "x", "--config", str(other)).status == 0
    assert (tmp_path / "own.sqlite3").exists()
    for text, told in (("policy = 1", "policy must be"), ("polcy = 'x'", "'polcy' is not known"), ("=", "not a TOML")):
        other.write_text(text)
        assert told in invoke("--local", "run", "x", "--config", str(other)).error
    assert "other" in invoke("--local", "run", "x", "--config", str(tmp_path / "another")).error


def test_what_is_kept_locally(home: Path, tmp_path: Path) -> None:
    path = Path(invoke("local", "path").stdout.strip())
    assert path == home / ".local/share/hestiaos/hestiaos.sqlite3"
    assert "nothing to export" in invoke("local", "export", str(tmp_path / "copy")).error
    trace_id = invoke("--local", "run", "x", "-q", "trace_id").stdout.strip()
    assert invoke("local", "export", str(tmp_path / "copy")).status == 0
    if os.name == "posix":
        assert (tmp_path / "copy").stat().st_mode & 0o077 == 0
    with sqlite3.connect(tmp_path / "copy") as copy:
        assert copy.execute("SELECT trace_id FROM traces").fetchall() == [(trace_id,)]
    copy.close()
    assert "exists already" in invoke("local", "export", str(tmp_path / "copy")).error
    assert "--yes" in invoke("local", "clear").error
    assert path.exists()
    assert invoke("local", "clear", "--yes").status == 0
    assert list(path.parent.iterdir()) == []
    assert invoke("local", "clear").status == 0


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_the_store_is_never_in_the_current_directory(
    value: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, value)
    assert invoke("--local", "run", "x").status == 0
    assert list(tmp_path.iterdir()) == [home]
    assert Path(invoke("local", "path").stdout.strip()).is_relative_to(home)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="only root can be somebody without a home")
def test_a_user_without_a_home() -> None:
    done = shell("env -u HOME setpriv --reuid 12345 --clear-groups $(command -v python3) -c '' && echo can")
    if done.stdout != "can\n":
        pytest.skip("this Python is root's alone")
    told = shell("env -u HOME setpriv --reuid 12345 --clear-groups hestiaos --local run x")
    assert "set HOME" in told.stderr


def test_the_key_is_not_in_the_list_of_processes(server_url: str) -> None:
    command = [PROGRAM, "system", "status", "--watch", "60", "-k", "hunter2", "-u", server_url]
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("there is no /proc")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        process.kill()
    assert b"hunter2" not in shown
    assert b"*******" in shown
