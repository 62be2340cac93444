"""A server that reads its policy, its keys, its models and agents anew at SIGHUP: real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from hestiaos_local import Platform, Policy, add_key, remove_key
from hestiaos_proto import GovernanceBlock, ServerRequest
from tests.local.test_server_models import END, ROLE, Steps, piece, text
from tests.support import wire
from tests.support.broad import BROAD
from tests.support.command_line import PROGRAM
from tests.support.peer import Peer
from tests.support.raw_client import RUN, RawClient, post
from tests.support.served_process import ServedProcess
from tests.support.steps import send

if sys.platform == "win32":
    pytest.skip("Windows has no SIGHUP", allow_module_level=True)

from tests.support.terminals import Terminal

PATIENCE = 50.0  # seconds
SAID = wire.STREAM_HEAD + piece(ROLE) + text("Hello") + END
POLICY = """version = 2
name = "{name}"
[[rules]]
name = "word"
on = "input"
pattern = "{pattern}"
decision = "BLOCK"
risk = 0.5
reason = "as the test wants it"
"""


def policy(name: str, pattern: str) -> str:
    return POLICY.format(name=name, pattern=pattern)


def run(text: str) -> ServerRequest:
    arguments = {"input": text, "session_id": None, "agent_id": None, "mode_hint": None, "timeout_ms": 1000}
    return ServerRequest("run", {**arguments, "stream": False}, {})


def test_a_platform_decides_by_its_new_policy(platform: Platform) -> None:
    assert platform.answer(run("a word"))
    platform.reload(Policy.parse(policy("new", "word"), "p.toml"))
    with pytest.raises(GovernanceBlock):
        platform.answer(run("a word"))
    config = platform.answer(ServerRequest("system_config", {}, {}))
    assert isinstance(config, dict)
    assert config["policy"] == "new"


class Files:
    """A policy and keys in files, and a process that is served with them."""

    def __init__(self, folder: Path) -> None:
        self.policy, self.keys = folder / "policy.toml", folder / "keys.toml"
        self.policy.write_text(policy("first", "word"))
        self.key = add_key(self.keys, "first", ["run"])

    def serve(self, *options: str) -> ServedProcess:
        return ServedProcess("--policy", str(self.policy), "--keys", str(self.keys), *options)

    def ask(self, server: ServedProcess, text: str, key: str | None = None) -> int:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        body = {"input": text}
        return httpx.post(f"{server.url}/api/v1/run", json=body, headers=headers, timeout=PATIENCE).status_code


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def reloaded(server: ServedProcess, lines: int = 1) -> list[str]:
    """Have the server read its files anew; what it says of that."""
    server.send_signal(signal.SIGHUP)
    return [server.log_line().rstrip("\n") for _ in range(lines)]


@BROAD
def test_new_files_are_gone_by_at_once(files: Files) -> None:
    with files.serve() as server:
        assert [files.ask(server, text) for text in ("a word", "a thing")] == [403, 200]
        files.policy.write_text(text := policy("second", "thing"))
        second = add_key(files.keys, "second", ["run"])
        assert files.ask(server, "a thing", second) == 401
        digest = sha256(text.encode()).hexdigest()[:12]
        assert reloaded(server) == [f"reloaded: policy second ({digest}), 2 API keys"]
        assert [files.ask(server, "a word"), files.ask(server, "a thing", second)] == [200, 403]
        remove_key(files.keys, "first")
        assert reloaded(server) == [f"reloaded: policy second ({digest}), 1 API key"]
        assert [files.ask(server, "a word"), files.ask(server, "a word", second)] == [401, 200]
        server.send_signal(signal.SIGTERM)
        assert server.end() == (0, "stopped\n")


@BROAD
def test_with_a_mistake_in_one_file_both_stay(files: Files) -> None:
    with files.serve() as server:
        second = add_key(files.keys, "second", ["run"])
        files.policy.write_text(policy("second", "(").replace("0.5", "5"))
        pattern, risk = reloaded(server, 2)
        assert pattern.startswith(f"not reloaded: {files.policy}, line 6: rules[0].pattern ")
        assert risk.startswith(f"not reloaded: {files.policy}, line 8: rules[0].risk must be a number from 0 to 1")
        assert [files.ask(server, "a word"), files.ask(server, "a thing", second)] == [403, 401]
        files.policy.write_text(policy("second", "thing"))
        files.keys.write_text("version = 1\nkey = 1\n")
        assert reloaded(server) == [f"not reloaded: {files.keys}, line 2: key is not known: write version or keys"]
        files.keys.unlink()
        assert reloaded(server) == [f"not reloaded: {files.keys}: there is no such file"]
        assert [files.ask(server, "a word"), files.ask(server, "a thing")] == [403, 200]
        server.send_signal(signal.SIGTERM)
        assert server.end() == (0, "stopped\n")


@BROAD
def test_a_file_without_keys_is_a_mistake(files: Files) -> None:
    """Else everybody would be locked out, whoever could mend it too."""
    with files.serve() as server:
        remove_key(files.keys, "first")
        mistake = (
            f"{files.keys}: there are no keys, so every request would be refused: add one with 'hestiaos keys new'"
        )
        assert reloaded(server) == [f"not reloaded: {mistake}"]
        assert files.ask(server, "a thing") == 200
    command = [PROGRAM, "serve", "--port", "0", "--keys", files.keys]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (2, f"Error: {mistake}\n")


CONFIGURATION = """version = 1
[[models]]
name = "{model}"
url = "{url}/v1"
[[agents]]
id = "{agent}"
system = "You are {agent}."
"""


class Configured:
    """A configuration in a file, before a model server, and a process that is served with it."""

    def __init__(self, folder: Path, model: Peer) -> None:
        self.file = folder / "hestia.toml"
        self.model = model
        self.write("one", "first")

    def write(self, model: str, agent: str) -> None:
        self.file.write_text(CONFIGURATION.format(model=model, url=self.model.url, agent=agent))

    def run(self, server: ServedProcess, agent: str) -> int:
        body = {"agent_id": agent, "task": "t", "config": {}}
        return httpx.post(f"{server.url}/api/agents/run", json=body, timeout=PATIENCE).status_code

    def models(self, server: ServedProcess) -> list[str]:
        return [each["id"] for each in httpx.get(f"{server.url}/v1/models").json()["data"]]


@pytest.fixture
def configured(tmp_path: Path) -> Iterator[Configured]:
    with Peer(answer=lambda request: [send(SAID)]) as model:
        yield Configured(tmp_path, model)


@BROAD
def test_models_and_agents(configured: Configured) -> None:
    with ServedProcess("--config", str(configured.file)) as server:
        assert [configured.run(server, each) for each in ("first", "second")] == [200, 404]
        configured.write("two", "second")
        [line] = reloaded(server)
        assert line.startswith("reloaded: policy default (")
        assert line.endswith("), 1 model, 1 agent")
        assert [configured.run(server, each) for each in ("first", "second")] == [404, 200]
        assert configured.models(server) == ["two"]
        system = json.loads(configured.model.requests[-1].body)["messages"][0]
        assert system == {"role": "system", "content": "You are second."}
        configured.file.write_text("version = 1\n")
        assert reloaded(server)[0].endswith("), 0 agents")  # no model: it echoes
        assert configured.models(server) == ["hestia-local"]


@BROAD
def test_with_a_mistake_in_the_configuration_all_stays(configured: Configured, files: Files) -> None:
    options = ("--config", str(configured.file), "--policy", str(files.policy))
    with ServedProcess(*options) as server:
        files.policy.write_text(policy("second", "thing"))
        configured.file.write_text('version = 1\n[[models]]\nname = 1\nurl = "ftp://a"\n[[agents]]\nid = "second"\n')
        name, url = reloaded(server, 2)
        assert name.startswith(f"not reloaded: {configured.file}, line 3: models[0].name must be ")
        assert url.startswith(f"not reloaded: {configured.file}, line 4: models[0].url must be like http://")
        configured.file.write_text("[[models]\n")
        assert reloaded(server)[0].startswith(f"not reloaded: {configured.file}")
        assert [configured.run(server, each) for each in ("first", "second")] == [200, 404]
        assert configured.models(server) == ["one"]
        assert httpx.post(f"{server.url}/api/v1/run", json={"input": "a word"}).status_code == 403
        configured.write("two", "second")  # one line for the two reads before: nothing else was told
        assert reloaded(server)[0].startswith("reloaded: policy second")


@BROAD
def test_a_stream_goes_on_with_its_model(configured: Configured) -> None:
    steps = Steps()
    configured.model.add(steps.script())
    with ServedProcess("--config", str(configured.file)) as server:
        with httpx.stream("POST", f"{server.url}/api/v1/run/stream", json={"input": "x"}) as stream:
            configured.model.wait_for_requests(1)
            configured.file.write_text("version = 1\n")
            assert reloaded(server)[0].startswith("reloaded: ")
            for event in steps.events:
                event.set()
            assert '"result":"t0 t1 t2 "' in stream.read().decode()
        run = httpx.post(f"{server.url}/api/v1/run", json={"input": "x"})
        assert run.json()["result"] == "processed: x"


@BROAD
def test_in_json(files: Files) -> None:
    with ServedProcess("--json", "--policy", str(files.policy)) as server:
        files.policy.write_text(text := policy("second", "thing"))
        told = {"reloaded": True, "policy": "second", "policy_hash": sha256(text.encode()).hexdigest()}
        told |= {"keys": None, "models": None, "agents": None}
        assert list(map(json.loads, reloaded(server))) == [told]
        files.policy.unlink()
        told = {"reloaded": False, "mistake": f"{files.policy}: there is no such file"}
        assert list(map(json.loads, reloaded(server))) == [told]


@BROAD
def test_a_stream_that_runs_goes_on(files: Files) -> None:
    with files.serve("--token-delay", "0.2") as server, RawClient(server.url) as client:
        client.send(post("/api/v1/run/stream", RUN, f"Authorization: Bearer {files.key}"))
        assert client.head()[0] == 200
        assert b'"start"' in client.chunk()
        files.policy.write_text(policy("second", "report"))
        assert reloaded(server)[0].startswith("reloaded: policy second")
        events = b"".join(iter(client.chunk, b""))
        assert b'"type":"final"' in events
        assert b'"type":"error"' not in events
        assert files.ask(server, "create a report") == 403


@BROAD
def test_requests_go_on_meanwhile(files: Files) -> None:
    """Each is judged by one of the policies, and none is lost."""
    statuses: list[int] = []
    done = threading.Event()

    def ask() -> None:
        headers = {"Authorization": f"Bearer {files.key}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=PATIENCE) as client:
            while not done.is_set():
                statuses.append(client.post("/api/v1/run", json={"input": "a word"}).status_code)

    with files.serve() as server:
        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for number in range(10):
            pattern = "word" if number % 2 else "thing"
            files.policy.write_text(policy(f"p{number}", pattern))
            assert reloaded(server)[0].startswith(f"reloaded: policy p{number} ")
            assert files.ask(server, "a word") == (403 if number % 2 else 200)
            begun = len(statuses)
            while len(statuses) == begun:
                assert all(thread.is_alive() for thread in threads)
                time.sleep(0.001)
        done.set()
        for thread in threads:
            thread.join()
    assert set(statuses) <= {200, 403}


@BROAD
def test_a_server_whose_terminal_goes_away_stops(files: Files) -> None:
    with Terminal([str(PROGRAM), "serve", "--port", "0"], env=os.environ) as terminal:
        terminal.expect("is served at ")
        url = terminal.expect(";")
        terminal.process.send_signal(signal.SIGHUP)
        terminal.expect("reloaded: policy default")
        assert httpx.get(f"{url}/health").status_code == 200
        terminal.hang_up()
        assert terminal.process.wait(PATIENCE) == 0


@pytest.fixture
def hangups_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangups_ignored")
@BROAD
def test_under_nohup_it_goes_on(files: Files) -> None:
    with Terminal([str(PROGRAM), "serve", "--port", "0"], env=os.environ) as terminal:
        terminal.expect("is served at ")
        url = terminal.expect(";")
        terminal.hang_up()
        terminal.process.send_signal(signal.SIGHUP)
        assert httpx.get(f"{url}/health").status_code == 200
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(PATIENCE) == 0
