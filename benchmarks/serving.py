"""Servers in processes of their own, and what they cost.

`python -m benchmarks.serving MODULE` runs `benchmarks.peers.MODULE` and says its base URL; each line of its standard
input is answered with the CPU time that it has taken so far, in seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from importlib import import_module
from typing import Self

from benchmarks.contestants import ROOT, BenchmarkFailed


class Server:
    """A server's process, from `with` to its end."""

    def __init__(self, module: str) -> None:
        command = [sys.executable, "-m", "benchmarks.serving", module]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._line()

    def cpu(self) -> float:
        """The CPU time of the process so far, in seconds."""
        assert self._process.stdin is not None, "it is a pipe"
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._line())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None, "it is a pipe"
        line = self._process.stdout.readline().strip()
        if not line:
            raise BenchmarkFailed(f"the server {self._process.args!r} has ended; what it said stands above")
        return line


def _answer() -> None:
    for _ in sys.stdin:
        print(time.process_time(), flush=True)
    os._exit(0)  # the process that has started this one is gone


if __name__ == "__main__":
    threading.Thread(target=_answer, daemon=True).start()
    import_module(f"benchmarks.peers.{sys.argv[1]}").main(lambda url: print(url, flush=True))
