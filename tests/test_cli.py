"""The command line: exit statuses, standard output, standard error; and what takes processes, as a shell runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.broad import BROAD
from tests.support.command_line import Ended, invoke, without_waits

COMMAND = [sys.executable, "-m", "hestiaos_cli"]
DESCRIPTION = (Path(__file__).parent / "sdk-description.txt").read_text(encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, and none of the variables that the command line reads."""
    for name in ("HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("HESTIAOS_BASE_URL", "HESTIAOS_API_KEY", "HESTIAOS_PROFILE", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def hestiaos(*arguments: str, stdin: str = "") -> Ended:
    """Run the command line in a process of its own; `invoke` runs it in this one, which is quicker."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, input=stdin)
    return Ended(done.returncode, done.stdout, done.stderr)


def failure(done: Ended, status: int = 1) -> str:
    """The one line that a failing command leaves."""
    assert done.status == status, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


class Served:
    """`hestiaos serve` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", "--token-delay", "0", *arguments], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        found = re.search(r"http://\S+?(?=;)", line)
        assert found is not None, line
        self.url = found[0]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture
def served(home: Path) -> Iterator[Served]:
    server = Served()
    yield server
    assert server.stop() == 0


def test_the_examples_of_the_description_run_as_written(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"## CLI\n+```bash\n(.*?)```", DESCRIPTION, re.DOTALL)
    assert block is not None
    lines = [line for line in block[1].splitlines() if line and not line.startswith("#")]
    assert len(lines) == 5
    monkeypatch.setenv("HESTIAOS_BASE_URL", served.url)
    # The only things replaced: the server's address, jq by what every Python has, and the program by its module.
    command = " ".join(COMMAND)
    outputs = []
    for line in lines:
        line = line.replace("http://localhost:8000", served.url).replace("| jq", f"| {sys.executable} -m json.tool")
        done = subprocess.run(
            line.replace("hestiaos ", f"{command} ", 1), shell=True, capture_output=True, text=True, check=False
        )
        outputs.append((done.returncode, done.stdout, done.stderr))
    run, health, trace, piped, url = outputs
    assert run[0] == 0
    assert run[1:] == ("processed: create a report\n", "")
    assert health[0] == url[0] == 0
    assert "status: ok\n" in health[1]
    assert trace[0] == 1
    assert "NOT_FOUND" in trace[2]
    assert json.loads(piped[1])["result"] == "processed: hello"


def test_a_local_run_is_found_by_a_later_process(home: Path) -> None:
    run = hestiaos("--local", "run", "x", "--json")
    trace_id = json.loads(run.stdout)["trace_id"]
    found = hestiaos("--local", "trace", trace_id)
    assert found.status == 0, found.stderr
    assert f"trace_id: {trace_id}\n" in found.stdout
    assert "decision: ALLOW\n" in found.stdout
    (file,) = (path for path in home.rglob("*.sqlite3"))
    if os.name == "posix":
        assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "--local", "run", "x"),
        ("--json", "run", "--local", "x"),
        ("run", "x", "--local", "--json"),
        ("run", "-j", "x", "--local"),
    ],
)
def test_global_options_stand_before_and_after_the_command(home: Path, arguments: tuple[str, ...]) -> None:
    assert json.loads(invoke(*arguments).stdout)["result"] == "processed: x"


@BROAD
def test_the_later_of_two_options_wins(served: Served) -> None:
    assert invoke("-u", "http://127.0.0.1:1", "health", "-u", served.url).status == 0


@BROAD
def test_the_environment_names_server_and_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HESTIAOS_API_KEY", "the-key")
    server = Served()
    try:
        monkeypatch.setenv("HESTIAOS_BASE_URL", server.url)
        assert hestiaos("run", "x").status == 0
        refused = failure(hestiaos("run", "x", "--api-key", "another-key"))
        assert "AUTHENTICATION_FAILED" in refused
        assert "the-key" not in refused
        assert "another-key" not in refused
    finally:
        server.stop()


def test_a_stream_is_shown_as_text_or_as_json_lines(home: Path) -> None:
    assert invoke("--local", "run", "a b", "--stream").stdout == "processed: a b\n"
    lines = invoke("--local", "run", "a b", "--stream", "--json").stdout.splitlines()
    types = [json.loads(line)["type"] for line in lines]
    assert types == ["start", "token", "token", "token", "final", "done"]


def test_text_comes_from_standard_input(home: Path) -> None:
    assert hestiaos("--local", "run", "-", stdin="from a pipe").stdout == "processed: from a pipe\n"


def test_no_server_at_the_address(home: Path) -> None:
    line = failure(invoke("run", "x", "-u", "http://127.0.0.1:1"))
    assert "http://127.0.0.1:1" in line
    assert "hestiaos serve" in line
    assert "--local" in line


def test_governance_blocks(home: Path) -> None:
    line = failure(invoke("--local", "run", "rm -rf /"))
    assert "GOVERNANCE_BLOCK" in line
    found = re.search(r"trace ([\w-]+)", line)
    assert found is not None
    assert "decision: BLOCK" in invoke("--local", "trace", found[1]).stdout


def test_an_empty_input(home: Path) -> None:
    assert "empty" in failure(invoke("--local", "run", ""))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-u", "example.com:8000", "health"), "http://"),
        (("-u", "ftp://localhost", "health"), "http://"),
        (("-u", "", "health"), "empty"),
        (("-u", "http://user:hunter2@localhost", "health"), "credentials"),
        (("-k", "hunter2\n", "health"), "API key"),
        (("trace", ""), "empty"),
        (("--local", "-u", "http://localhost:1", "health"), "--base-url"),
    ],
)
def test_a_wrong_command_line_is_one_line(home: Path, arguments: tuple[str, ...], message: str) -> None:
    line = failure(invoke(*arguments), status=2)
    assert message in line
    assert "hunter2" not in line


def test_a_port_in_use(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        line = failure(hestiaos("serve", "--port", str(port)))
    assert str(port) in line
    assert "in use" in line


def test_a_public_address_needs_a_key(home: Path) -> None:
    assert "key" in failure(hestiaos("serve", "--host", "0.0.0.0", "--port", "0"), status=2)


def test_a_policy_with_a_mistake(home: Path) -> None:
    policy = home / "policy.toml"
    policy.write_text(
        'version = 1\n\n[[rules]]\nname = "a"\non = "input"\npattern = "x"\n'
        'decision = "DENY"\nrisk = 0.5\nreason = "no"\n'
    )
    line = failure(hestiaos("serve", "--port", "0", "--policy", str(policy)), status=2)
    assert f"{policy}, line 7" in line
    assert "BLOCK" in line


def test_a_store_that_is_not_a_database(home: Path) -> None:
    store = home / "store.sqlite3"
    store.write_bytes(b"these are notes, not a database\n" * 100)
    before = store.read_bytes()
    assert str(store) in failure(hestiaos("serve", "--port", "0", "--store", str(store)), status=2)
    assert store.read_bytes() == before


@BROAD
def test_killing_the_server_in_the_middle_of_a_stream(home: Path) -> None:
    server = Served("--token-delay", "0.2")
    client = subprocess.Popen(
        [*COMMAND, "run", "word " * 500, "--stream", "--json", "-u", server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert client.stdout is not None
    first = [client.stdout.readline() for _ in range(2)]
    server.process.kill()
    server.process.communicate()
    rest, errors = client.communicate(timeout=60)
    types = [json.loads(line)["type"] for line in [*first, *rest.splitlines()]]
    assert types[:2] == ["start", "token"]
    assert "done" not in types
    assert client.returncode == 1
    (line,) = errors.splitlines()
    assert "STREAM_INTERRUPTED" in line


def test_help_loads_no_http_library() -> None:
    program = (
        "import sys\nfrom hestiaos_cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print({'httpx', 'anyio', 'h11', 'sqlite3', 'trio', 'attrs', 'hestiaos_proto'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "--base-url" in done.stdout


def test_version_and_unknown_command() -> None:
    assert hestiaos("--version").stdout.startswith("hestiaos 1.1.")
    unknown = hestiaos("rum", "x")
    assert unknown.status == 2
    assert "No such command 'rum'" in unknown.stderr


class Echoing:
    """Answers one request with a stream that fails, and that repeats what it was sent as the key."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def close(self) -> None:
        self._thread.join(60)
        self._listener.close()

    def _answer(self) -> None:
        peer = self._listener.accept()[0]
        with peer, peer.makefile("rwb") as file:
            key = b""
            while (line := file.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                if name.lower() == b"authorization":
                    key = value.split()[1]
            events = b'data: {"type": "start"}\n\n'
            events += b'data: {"type": "error", "data": {"message": "one\\ntwo %s"}}\n\n' % key
            events += b'data: {"type": "done"}\n\n'
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n"
            file.write(head % len(events) + events)


@pytest.mark.parametrize("by_variable", [True, False])
@pytest.mark.parametrize("as_json", [True, False])
def test_an_error_event_is_one_line_without_the_key(
    home: Path, monkeypatch: pytest.MonkeyPatch, by_variable: bool, as_json: bool
) -> None:
    server = Echoing()
    monkeypatch.setenv("HESTIAOS_API_KEY", "hunter2" if by_variable else "another")
    key = () if by_variable else ("-k", "hunter2")
    done = invoke("run", "x", "--stream", "-u", server.url, *key, *(["--json"] if as_json else []))
    server.close()
    assert done.status == 1
    if as_json:
        assert without_waits(json.loads(done.stderr)["error"]["message"]) == f"[FAILED] one\ntwo ***, at {server.url}"
    else:
        assert without_waits(done.stderr) == f"Error: [FAILED] one two ***, at {server.url}\n"
    assert "hunter2" not in done.stdout


@pytest.mark.parametrize(
    ("proxy", "status"),
    [
        ("socks5://user:hunter2@127.0.0.1:1", 1),
        ("http://user:pass@127.0.0.1:hunter2", 2),
        ("http://user:hunter2/@127.0.0.1:1", 2),
        ("gopher://user:hunter2@127.0.0.1:1", 2),
    ],
)
def test_a_proxy_that_cannot_be_used(home: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, status: int) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ALL_PROXY", proxy)
    message = failure(invoke("health", "-u", "http://192.0.2.1:8000"), status)
    assert "hunter2" not in message
    assert "ALL_PROXY" in message or "socks5://127.0.0.1:1" in message
    assert invoke("--local", "health").status == 0


@pytest.mark.parametrize("url", ["http://localhost:1/prefix", "nonsense"])
def test_local_ignores_the_server_of_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HESTIAOS_BASE_URL", url)
    monkeypatch.setenv("HESTIAOS_API_KEY", "two words")
    assert invoke("--local", "run", "x").stdout == "processed: x\n"


def test_the_default_store_is_not_a_database(home: Path) -> None:
    assert invoke("--local", "run", "x").status == 0
    (file,) = home.rglob("*.sqlite3")
    file.write_text("these are notes, not a database\n" * 100)
    line = failure(invoke("--local", "health"))
    assert str(file) in line
    assert "move it away" in line


def test_the_default_store_is_damaged(home: Path) -> None:
    assert invoke("--local", "run", "x").status == 0
    (file,) = home.rglob("*.sqlite3")
    file.write_bytes(file.read_bytes()[:4096] + b"\xff" * (file.stat().st_size - 4096))
    line = failure(invoke("--local", "run", "x"))
    assert f"{file} is damaged" in line
    assert "move it away" in line


@BROAD
@pytest.mark.parametrize("text", ["€ \U0001f600", "\xe9"])
def test_characters_that_standard_output_cannot_encode_are_escaped(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    for stream in ([], ["--stream"]):
        done = hestiaos("--local", "run", text, *stream)
        assert (done.status, done.stderr) == (0, "")
        assert done.stdout == f"processed: {text}\n".encode("ascii", "backslashreplace").decode()
    done = hestiaos("--local", "run", text, "--json")
    assert json.loads(done.stdout)["result"] == f"processed: {text}"


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell closes it")
def test_standard_input_is_closed(home: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "--local", "run", "-"], capture_output=True, text=True
    )
    assert "standard input is closed" in failure(Ended(done.returncode, done.stdout, done.stderr), status=2)
