"""`hestiaos serve` as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["ServedProcess"]


class ServedProcess:
    """`hestiaos serve` on a free port, from `with` to its end; `prefix` is a program that starts it.

    `quiet`: it does not log the requests.
    """

    def __init__(self, *options: str, prefix: Sequence[str] = (), quiet: bool = True) -> None:
        options = (*(["--quiet"] if quiet else []), *options)
        command = [*prefix, sys.executable, "-m", "hestiaos_cli", "serve", "--port", "0", *options]
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, env=environ, text=True)
        assert self._process.stderr is not None
        self._log = self._process.stderr
        self.pid = self._process.pid
        line = self.log_line()
        if line.startswith("{"):  # with --json
            self.url = json.loads(line)["url"]
        else:
            assert "is served at " in line, line + self._log.read()
            self.url = line.partition("is served at ")[2].partition(";")[0]
        if prefix:  # the prefix has forked
            self.pid = int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    def send_signal(self, number: signal.Signals) -> None:
        """Send the server a signal."""
        os.kill(self.pid, number)

    def log_line(self) -> str:
        """The next line that it logs."""
        return self._log.readline()

    def end(self) -> tuple[int, str]:
        """Wait for its end: the exit status, and what it has logged since it was started."""
        _, log = self._process.communicate(timeout=50)
        return self._process.returncode, log
