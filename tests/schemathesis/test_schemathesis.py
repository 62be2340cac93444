"""schemathesis against `/openapi.json` of `hestiaos serve`: every check, and no failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.served_process import ServedProcess

pytest.importorskip("schemathesis", reason="the session `schemathesis` has it")

EXAMPLES = os.environ.get("HESTIAOS_TEST_EXAMPLES", "50")  # for each operation


@pytest.mark.thorough
@pytest.mark.parametrize("options", [(), ("--api-key", "k"), ("--store", "store.db")], ids=["open", "key", "file"])
def test_every_check_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]) -> None:
    monkeypatch.chdir(tmp_path)
    with ServedProcess("--token-delay", "0", *options) as server:
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{server.url}/openapi.json", "--checks=all"]
        command += [f"--max-examples={EXAMPLES}", "--header=Authorization: Bearer k", "--no-color"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
