"""schemathesis against `/openapi.json` of `hestiaos serve`: every check, and no failure."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.model_servers import FakeServer
from tests.support.served_process import ServedProcess

pytest.importorskip("schemathesis", reason="the session `schemathesis` has it")

# A model server takes longer than the least `timeout_ms`.
CONFIGURATION = """\
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 504]
"""

EXAMPLES = os.environ.get("HESTIAOS_TEST_EXAMPLES", "50")  # for each operation
SEED = os.environ.get("HESTIAOS_TEST_SEED", "1")  # the same requests each time, but for ids of the server's making


@pytest.fixture(params=["open", "key", "file", "relay"])
def options(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[str]]:
    """Those of the server."""
    if request.param != "relay":
        yield {"open": [], "key": ["--api-key", "k"], "file": ["--store", str(tmp_path / "store.db")]}[request.param]
        return
    pytest.importorskip("fakellm", reason="the session `schemathesis` has it")
    with FakeServer(tmp_path) as model:
        yield ["--model-url", model.url, "--model", "gpt-4o"]


@pytest.mark.thorough
def test_every_check_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    root = os.getcwd()
    monkeypatch.chdir(tmp_path)  # where it finds its configuration, and leaves files behind
    if "--model-url" in options:
        (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    environ = os.environ | {"PYTHONPATH": root, "SCHEMATHESIS_HOOKS": "tests.schemathesis.unique_keys"}
    with ServedProcess("--token-delay", "0", *options) as server:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--checks=all"]
        command += [f"--max-examples={EXAMPLES}", f"--seed={SEED}", "--generation-database=none"]
        command += ["--request-timeout=60", "--header=Authorization: Bearer k", "--no-color"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
