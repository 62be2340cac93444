"""The platform under an ASGI server: a process with one worker or several."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Self

import httpx

from tests.support.ports import unused_url

__all__ = ["SERVERS", "ASGIServer"]

_APP = "hestiaos_local.asgi:app"
SERVERS = {
    "uvicorn": lambda port, workers: [_APP, f"--port={port}", f"--workers={workers}", "--log-level=warning"],
    "hypercorn": lambda port, workers: [_APP, f"--bind=127.0.0.1:{port}", f"--workers={workers}"],
    "granian": lambda port, workers: ["--interface=asgi", f"--port={port}", f"--workers={workers}", _APP],
}
"""The arguments of each, given the port and the number of workers."""


class ASGIServer:
    """A server from `with` to its end. `variables` are those of its environment, without `HESTIAOS_`."""

    def __init__(self, name: str, log: Path, *, workers: int = 1, **variables: str) -> None:
        self.url = unused_url()
        port = int(self.url.rpartition(":")[2])
        command = [sys.executable, "-m", name, *SERVERS[name](port, workers)]
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environ |= {f"HESTIAOS_{key}": value for key, value in variables.items()}
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, env=environ, stdout=output, stderr=output, start_new_session=True)

    def __enter__(self) -> Self:
        until = monotonic() + 30
        while True:
            try:
                httpx.get(f"{self.url}/health")
            except httpx.TransportError:
                assert monotonic() < until, self._log.read_text()
                assert self._process.poll() is None, self._log.read_text()
                sleep(0.05)
            else:
                return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Kill it, where it has not ended, and its workers."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """End it as an administrator does. Returns its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=30)
