"""`hestiaos serve --model-url` and `--config`, as processes, before a model server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local.test_server_models import COMPLETIONS, ROLE, answer, completion, payload, piece, text
from tests.support import wire
from tests.support.broad import BROAD
from tests.support.peer import Peer
from tests.support.raw_client import RUN, RawClient, post
from tests.support.served_process import ServedProcess
from tests.support.steps import send, silence

pytestmark = BROAD


def test_a_model_server_named_by_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_KEY", "sk-4711")
    with Peer(answer=answer) as model:
        options = ("--model-url", f"{model.url}/v1", "--model", "small", "--model-key-env", "MODEL_KEY")
        with ServedProcess(*options) as server, RawClient(server.url) as client:
            client.send(post("/api/v1/run", RUN))
            assert client.response()[1]["result"] == "Hello"
        [request] = model.requests
    assert request.headers["authorization"] == "Bearer sk-4711"
    assert json.loads(request.body)["model"] == "small"


def configuration(folder: Path, url: str) -> Path:
    file = folder / "hestia.toml"
    models = f'version = 1\n[[models]]\nname = "small"\nurl = "{url}/v1"\nmodel = "tiny"\n'
    file.write_text(f'{models}[[agents]]\nid = "poet"\nsystem = "Rhyme."\n')
    return file


def test_models_and_agents_of_a_file(tmp_path: Path) -> None:
    with Peer(answer=answer) as model:
        file = configuration(tmp_path, model.url)
        with ServedProcess("--config", str(file)) as server, RawClient(server.url) as client:
            client.send(post("/api/agents/run", b'{"agent_id": "poet", "task": "t", "config": {}}'))
            assert client.response()[1]["output"] == "Hello"
            client.send(post("/api/agents/run", b'{"agent_id": "other", "task": "t", "config": {}}'))
            assert client.response()[0] == 404
            client.send(post(COMPLETIONS, completion(stream=False).replace(b"tiny", b"large")))
            status, body = client.response()
            assert (status, body["error"]["param"]) == (404, "model")
    [request] = model.requests
    assert json.loads(request.body)["messages"][0] == {"role": "system", "content": "Rhyme."}


def test_local_reads_the_file_too(tmp_path: Path) -> None:
    with Peer(answer=answer) as model:
        file = configuration(tmp_path, model.url)
        environ = os.environ | {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environ.pop("XDG_CONFIG_HOME", None)
        command = [sys.executable, "-m", "hestiaos_cli", "--local", "--config", str(file), "--json", "run", "hi"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=50)
    assert json.loads(done.stdout)["result"] == "Hello"


@pytest.mark.parametrize(
    ("options", "told", "status"),
    [
        (("--model", "x"), "give that too", 2),
        (("--model-url", "ftp://x"), "must be like http://localhost:11434/v1", 2),
        (("--model-url", "http://x", "--model-key-env", "NOT_THERE"), "NOT_THERE, which is not set", 2),
        (("--config", "/no/such.toml"), "/no/such.toml", 1),
        (("--config", "mistaken.toml"), "line 2: models[0] needs url, which is missing", 2),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: tuple[str, ...], told: str, status: int) -> None:
    (tmp_path / "mistaken.toml").write_text('version = 1\n[[models]]\nname = "m"\n')
    command = [sys.executable, "-m", "hestiaos_cli", "serve", "--port", "0", *options]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=50)
    assert (done.returncode, told in " ".join(done.stderr.split()), "Traceback" in done.stderr) == (
        status,
        True,
        False,
    ), done.stderr


def test_a_server_that_stops_ends_a_completion_with_an_error() -> None:
    with Peer([send(wire.STREAM_HEAD + piece(ROLE) + text("a")), silence]) as model:
        with ServedProcess("--model-url", f"{model.url}/v1", "--model", "m") as server, RawClient(server.url) as client:
            client.send(post(COMPLETIONS, completion(stream=True)))
            assert client.head()[0] == 200
            assert b'"content":"a"' in client.chunk()
            server.send_signal(signal.SIGTERM)
            error, done = client.chunk().split(b"\n\n")[:-1]
            assert payload(error)["error"]["code"] == "stopping"
            assert (done, client.chunk(), client.at_end()) == (b"data: [DONE]", b"", True)
            assert server.end() == (0, "stopped\n")
        model.wait_until_left(1)


def test_a_server_that_stops_refuses_a_completion_that_has_not_begun() -> None:
    with Peer([silence]) as model:
        with ServedProcess("--model-url", f"{model.url}/v1", "--model", "m") as server, RawClient(server.url) as client:
            client.send(post(COMPLETIONS, completion(stream=True)))
            model.wait_for_requests(1)
            server.send_signal(signal.SIGTERM)
            status, body = client.response()
            assert (status, body["error"]["code"], client.at_end()) == (503, "stopping", True)
            assert server.end() == (0, "stopped\n")
        model.wait_until_left(1)
