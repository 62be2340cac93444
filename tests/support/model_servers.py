"""Real model servers, each in a process of its own, for the `with` block."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import httpx

from tests.support.tiny_gguf import write_tiny_model

__all__ = ["FakeServer", "LlamaServer", "ModelServer"]

HERE = Path(__file__).resolve().parent

PATIENCE = 30.0  # seconds

TOOLS_CONFIG = """\
version: 1
defaults: {fallback: deterministic_echo}
rules:
  - name: answer
    when: {tool_result_contains: "sunny"}
    respond: {content: "It is sunny in Paris."}
  - name: hour
    when: {messages_contain: "hour"}
    respond: {tool_calls: [{name: get_time, arguments: {zone: "Europe/Paris", "24": true}}]}
  - name: call
    when: {messages_contain: "weather"}
    respond:
      tool_calls:
        - {name: get_weather, arguments: {city: "Paris", unit: "°C"}}
        - {name: get_time, arguments: {}}
"""


class ModelServer:
    """A process that prints its address; `url` is what a client is given, which ends with `/v1`."""

    key: str | None = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def command(self) -> list[str]:
        """What starts it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self.command(), cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self._process.stdout is not None
        said: list[bytes] = []
        for line in self._process.stdout:
            said.append(line)
            if (found := re.search(rb"(http://127\.0\.0\.1:\d+)", line)) is not None and found[
                1
            ] != b"http://127.0.0.1:0":
                self.url = f"{found[1].decode()}/v1"
                break
        else:
            raise AssertionError("the model server did not start:\n" + b"".join(said).decode(errors="replace"))
        self._log = threading.Thread(target=_read, args=(self._process.stdout,))  # a full pipe would stop it
        self._log.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait(timeout=50)
        self._log.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class LlamaServer(ModelServer):
    """llama.cpp with a tiny model of random weights: what it says is arbitrary, unless a `grammar` says it: that of a
    request, or the server's own.

    `key` is what a client needs; with `None` it needs none.
    """

    def __init__(self, folder: Path, key: str | None = "sk-test", *, grammar: str = "") -> None:
        super().__init__(folder)
        self.key = key
        self._grammar = grammar

    def command(self) -> list[str]:
        model = self.folder / "tiny.gguf"
        write_tiny_model(model)
        return [sys.executable, str(HERE / "llama_server.py"), str(model), self.key or "", self._grammar]

    def generated(self) -> int:
        """How many tokens it has generated."""
        return self._metric("tokens_predicted_total")

    def busy(self) -> bool:
        """Whether it generates something."""
        return self._metric("requests_processing") > 0

    def wait_until_idle(self) -> None:
        """Wait until it generates nothing."""
        deadline = time.monotonic() + PATIENCE
        while self.busy():
            assert time.monotonic() < deadline, "the model server still works"
            time.sleep(0.01)

    def _metric(self, name: str) -> int:
        """One of its own numbers (Prometheus)."""
        url = self.url.removesuffix("/v1") + "/metrics"
        text = httpx.get(url, headers={"Authorization": f"Bearer {self.key}"}).text
        found = re.search(rf"^llamacpp:{name} ([0-9.e+]+)$", text, re.MULTILINE)
        assert found is not None, text
        return int(float(found[1]))


class FakeServer(ModelServer):
    """fakellm, which calls tools: those of `TOOLS_CONFIG`."""

    def command(self) -> list[str]:
        config = self.folder / "fakellm.yaml"
        config.write_text(TOOLS_CONFIG, encoding="utf-8")
        serve = "from fakellm.cli import main; main()"
        return [sys.executable, "-c", serve, "serve", "--port", "0", "--config", str(config)]


def _read(pipe: IO[bytes]) -> None:
    while pipe.read(65536):
        pass
