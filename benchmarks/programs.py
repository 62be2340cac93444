"""Servers as programs of their own, of any environment, and what the system has counted for them (Linux)."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self
from urllib.request import urlopen

from benchmarks.contestants import ROOT, BenchmarkFailed

_PATIENCE = 180.0  # seconds to start; some import a thousand modules
_DROPPED = ("PYTHONDONTWRITEBYTECODE", "HESTIAOS_")  # bytecode is written, as pip does


class Program:
    """A server's process, from `with` to its end. `{port}` in its command is a free port; `alive` is a path of it."""

    def __init__(self, command: Sequence[str], alive: str, environ: Mapping[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_DROPPED)}
        self._said = TemporaryFile("w+")  # noqa: SIM115  # closed by __exit__
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            [word.replace("{port}", str(port)) for word in command],
            cwd=ROOT,
            env={**kept, **environ},
            stdout=self._said,
            stderr=self._said,
        )
        self._alive = alive
        self.started = 0.0
        """How many seconds it has taken until it answered."""

    def cpu(self) -> float:
        """The CPU time of all of its threads so far, in seconds."""
        threads = Path(f"/proc/{self._process.pid}/task").glob("*/schedstat")
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def memory(self) -> int:
        """What it holds now, in bytes."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self._process.pid}/status").read_text())
        assert found is not None, "the kernel tells it"
        return int(found[1]) * 1024

    def __enter__(self) -> Self:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                with urlopen(self.url + self._alive):
                    self.started = time.perf_counter() - self._began
                    return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > until:
                    self.__exit__()
                    raise BenchmarkFailed(f"{self._process.args!r} did not start:\n{self._last_words}") from None
                time.sleep(0.01)

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()
        self._said.seek(0)
        self._last_words = self._said.read()[-4000:]
        self._said.close()
