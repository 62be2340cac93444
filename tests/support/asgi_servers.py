"""The platform under an ASGI server: a process with one worker or several, or a task of this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

import anyio
import httpx
from anyio.abc import TaskStatus

from tests.support.ports import free_port

__all__ = ["SERVERS", "ASGIServer", "serve_application"]

_APP = "hestiaos_local.asgi:app"
SERVERS = {
    "uvicorn": lambda port, workers: [_APP, f"--port={port}", f"--workers={workers}", "--log-level=warning"],
    "hypercorn": lambda port, workers: [_APP, f"--bind=127.0.0.1:{port}", f"--workers={workers}"],
    "gunicorn": lambda port, workers: [
        _APP,
        f"--bind=127.0.0.1:{port}",
        f"--workers={workers}",
        "--worker-class=uvicorn_worker.UvicornWorker",
    ],
    "granian": lambda port, workers: ["--interface=asgi", f"--port={port}", f"--workers={workers}", _APP],
}
"""The arguments of each, given the port and the number of workers."""


class ASGIServer:
    """A server from `with` to its end. `variables` are those of its environment, without `HESTIAOS_`."""

    def __init__(self, name: str, log: Path, *, workers: int = 1, **variables: str) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", name, *SERVERS[name](port, workers)]
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environ |= {f"HESTIAOS_{key}": value for key, value in variables.items()}
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, env=environ, stdout=output, stderr=output, start_new_session=True)

    def __enter__(self) -> Self:
        until = monotonic() + 60
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

    def kill_worker(self) -> None:
        """Kill one of its workers. On Linux."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        workers = [pid for pid in children if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(int(workers[-1]), signal.SIGKILL)

    def close(self) -> None:
        """Kill it, where it has not ended, and its workers."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """End it as an administrator does. Returns its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=50)


async def serve_application(name: str, application: Any, port: int, *, task_status: TaskStatus[str]) -> None:
    """Serve an application by the server of this name on a port of this machine, 0 for a free one, until cancelled."""
    stop = anyio.Event()
    port = port or free_port()

    async def run() -> None:
        with anyio.CancelScope(shield=True):  # it ends in its own way
            await _TASKS[name](application, port, stop)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        try:
            await _wait_for(port)
            task_status.started(f"http://127.0.0.1:{port}")
            await anyio.sleep_forever()
        finally:
            stop.set()


async def _wait_for(port: int) -> None:
    """Wait until somebody listens."""
    with anyio.fail_after(50):
        while True:
            try:
                await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
            except OSError:
                await anyio.sleep(0.005)
            else:
                return


async def _uvicorn(application: Any, port: int, stop: anyio.Event) -> None:
    import uvicorn

    config = uvicorn.Config(application, port=port, log_level="critical", timeout_graceful_shutdown=0)
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        await stop.wait()
        server.should_exit = True


async def _hypercorn(application: Any, port: int, stop: anyio.Event) -> None:
    from hypercorn.asyncio import serve

    await serve(application, _hypercorn_config(port), shutdown_trigger=stop.wait)


async def _hypercorn_on_trio(application: Any, port: int, stop: anyio.Event) -> None:
    from hypercorn.trio import serve

    await serve(application, _hypercorn_config(port), shutdown_trigger=stop.wait)


def _hypercorn_config(port: int) -> Any:
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.graceful_timeout = 0
    config.errorlog = None
    return config


async def _granian(application: Any, port: int, stop: anyio.Event) -> None:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    server = Server(application, port=port, interface=Interfaces.ASGI, log_enabled=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve)
        await stop.wait()
        server.stop()


_TASKS: dict[str, Callable[[Any, int, anyio.Event], Awaitable[None]]] = {
    "uvicorn": _uvicorn,
    "hypercorn": _hypercorn,
    "hypercorn-trio": _hypercorn_on_trio,
    "granian": _granian,
}
