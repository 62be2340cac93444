"""The walk of the documentation: each of its commands and programs, as printed, with the tiny model."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.documents import WALK, Block, Runner, blocks, matches
from tests.support.model_servers import LlamaServer

MODEL_URL = "http://localhost:11434/v1"


class Walk(Runner):
    """Runs the page's blocks; the server of `hestiaos serve` is left running for those after it."""

    def __init__(self, folder: Path, model_url: str, patch: pytest.MonkeyPatch) -> None:
        super().__init__(WALK, folder, "http://localhost:8000")
        self._model_url = model_url
        self._patch = patch
        self._server: subprocess.Popen[str] | None = None

    def run(self, block: Block, *, may_fail: bool) -> str:
        return super().run(block._replace(text=block.text.replace(MODEL_URL, self._model_url)), may_fail=may_fail)

    def close(self) -> None:
        """Stop the server."""
        assert self._server is not None, "the page starts a server"
        self._server.terminate()
        _, log = self._server.communicate(timeout=50)
        assert self._server.returncode == 0, log

    def _serve(self, text: str) -> str:
        self._server = subprocess.Popen(
            ["bash", "-eu", "-c", f"exec {text.strip()} --quiet"], cwd=self._folder, stderr=subprocess.PIPE, text=True
        )
        assert self._server.stderr is not None
        said = self._server.stderr.readline()
        found = re.search(r"is served at (http://[^;\s]+)", said)
        assert found is not None, said
        self._url = found[1]
        self._patch.setenv("HESTIAOS_BASE_URL", self._url)
        return said


@pytest.fixture
def walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walk]:
    pytest.importorskip("openai")
    pytest.importorskip("xllamacpp")
    monkeypatch.chdir(tmp_path)
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / '.venv' / 'bin'}:/usr/bin:/bin")
    monkeypatch.delenv("HESTIAOS_API_KEY", raising=False)
    with LlamaServer(tmp_path, key=None) as llama:
        walk = Walk(tmp_path, llama.url, monkeypatch)
        yield walk
        walk.close()


def test_the_walk(walk: Walk) -> None:
    printed = ""
    steps = [block for block in blocks(WALK) if block.language != "text"]
    for block, after in pairwise([*steps, Block("", "", 0)]):
        if block.language == "output":
            assert matches(block.text, printed), f"line {block.line}: it printed\n{printed}"
        else:
            printed = walk.run(block, may_fail=False)
            assert after.language == "output", f"line {block.line}: what it prints is shown"
