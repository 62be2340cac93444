"""What one client or a locked store costs the others."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hestiaos_local import Platform, Store
from tests.support.broad import BROAD
from tests.support.raw_client import HEALTH, RUN, RawClient, post
from tests.support.served_process import ServedProcess
from tests.support.watched_platforms import Occupied

CHUNKED = b"POST /api/v1/run HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [post("/api/v1/run", json.dumps({"input": "x" * 10_000}).encode()), CHUNKED % (len(RUN), RUN)],
    ids=["large", "of unknown size"],
)
def test_a_large_request_does_not_stop_the_others(start: Callable[..., str], request_bytes: bytes) -> None:
    with Occupied() as platform:
        url = start(platform=platform)
        with RawClient(url) as slow, RawClient(url) as quick:
            slow.send(request_bytes)
            assert platform.began.wait(50)
            quick.send(HEALTH)
            assert quick.response()[0] == 200
            platform.go_on.set()
            assert slow.response()[0] == 200


def test_a_small_request_does_not_wait_in_the_loop_for_a_large_one(start: Callable[..., str]) -> None:
    with Occupied() as platform:
        url = start(platform=platform)
        with RawClient(url) as large, RawClient(url) as small, RawClient(url) as quick:
            large.send(post("/api/v1/run", json.dumps({"input": "x" * 10_000}).encode()))
            assert platform.began.wait(50)
            platform.began.clear()
            small.send(post("/api/v1/run", RUN))
            assert platform.began.wait(50)
            quick.send(HEALTH)
            assert quick.response()[0] == 200
            platform.go_on.set()
            assert (large.response()[0], small.response()[0]) == (200, 200)


def test_a_locked_store_does_not_stop_the_others(start: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with Occupied(Store(file)) as platform, contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        platform.go_on.set()
        other.execute("BEGIN IMMEDIATE")
        url = start(platform=platform)
        with RawClient(url) as waiting, RawClient(url) as quick:
            waiting.send(post("/api/v1/run", RUN))
            assert platform.began.wait(50)
            quick.send(HEALTH)
            assert quick.response()[0] == 200
            other.execute("ROLLBACK")
            assert waiting.response()[0] == 200


def test_how_the_server_is_can_be_asked_while_the_store_is_locked(start: Callable[..., str], tmp_path: Path) -> None:
    """However many calls wait for the store, those have threads of their own, and `status` says what does not work."""
    file = tmp_path / "store.db"
    other = sqlite3.connect(file, isolation_level=None)
    with Platform(store=Store(file)) as platform, contextlib.closing(other), contextlib.ExitStack() as clients:
        url = start(platform=platform)
        other.execute("BEGIN IMMEDIATE")
        waiting = [clients.enter_context(RawClient(url)) for _ in range(60)]
        for client in waiting:
            client.send(post("/api/v1/run", RUN))
        for operation, field, value in (
            ("v1/health", "status", "ok"),
            ("system/status", "storage", False),
            ("system/metrics", "active_sessions", 0),
        ):
            with RawClient(url) as asking:
                asking.send(f"GET /api/{operation} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                status, body = asking.response()
                assert (status, body[field]) == (200, value)
        other.execute("ROLLBACK")
        assert [client.response()[0] for client in waiting] == [200] * 60


def test_a_store_that_cannot_be_written_is_a_503_and_one_line_in_the_log(
    start: Callable[..., str], tmp_path: Path, server_faults: list[str]
) -> None:
    file = tmp_path / "store.db"
    with Platform(store=Store(file, busy_timeout=0.0)) as platform, contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with RawClient(start(platform=platform)) as peer:
            peer.send(post("/api/v1/run", RUN))
            status, headers = peer.head()
            body = json.loads(peer.file.read(int(headers["content-length"])))
            assert (status, body["code"], headers["retry-after"]) == (503, "STORE_UNAVAILABLE", "1")
    (line,) = server_faults.pop().splitlines()
    assert line.startswith(f"run failed: {file} is locked by another program (database is locked): ")


@BROAD
def test_a_server_without_a_free_file_descriptor_closes_what_is_idle_and_logs_it_once(backend: str) -> None:
    code = """
import logging, resource, sys, anyio
from hestiaos_local import Platform, serve
logging.basicConfig(stream=sys.stdout)
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
anyio.run(lambda: serve(Platform(), port=0, on_listening=lambda url: print(url, flush=True)), backend=sys.argv[1])
"""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, backend]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        with contextlib.ExitStack() as clients:
            first = clients.enter_context(RawClient(url))
            first.send(HEALTH[:-2])  # this one is not idle
            for _ in range(50):
                clients.enter_context(RawClient(url))
            assert "Too many open files" in server.stdout.readline()
            with RawClient(url) as last:
                last.send(HEALTH)
                assert last.response()[0] == 200
            first.send(HEALTH[-2:])
            assert first.response()[0] == 200
        server.kill()
        assert server.stdout.read() == ""


class Recording(Platform):
    """Remembers the operations in their order; the first holds the event loop until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []
        self.began = threading.Event()
        self.go_on = threading.Event()

    def respond(self, call: Any, *, key: str | None = None) -> object:
        if call.operation == "governance_status":
            self.began.set()
            assert self.go_on.wait(50)
        self.order.append(call.operation)
        return super().respond(call, key=key)


def test_all_waiting_clients_are_accepted_in_one_turn(start: Callable[..., str]) -> None:
    """One in a turn, each would wait for as many turns as there are others before it."""
    config = b"GET /api/system/config HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Recording() as platform, contextlib.ExitStack() as clients:
        url = start(platform=platform)
        busy = clients.enter_context(RawClient(url))
        busy.send(config.replace(b"system/config", b"governance/stability") + config * 200)
        assert platform.began.wait(50)
        others = [clients.enter_context(RawClient(url)) for _ in range(100)]
        for client in others:
            client.send(HEALTH)
        platform.go_on.set()
        assert [client.response()[0] for client in others] == [200] * 100
        assert [busy.response()[0] for _ in range(201)] == [200] * 201
    last = len(platform.order) - 1 - platform.order[::-1].index("health")
    assert platform.order[:last].count("system_config") < 20


@BROAD
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell what a process holds")
def test_clients_without_the_key_hold_no_memory_by_their_bodies() -> None:
    def most(server: ServedProcess) -> int:
        [line] = [line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if "VmHWM" in line]
        return int(line.split()[1]) * 1024

    body = b"x" * (16 * 1024**2 - 1)
    with ServedProcess("--api-key", "key") as server, contextlib.ExitStack() as opened:
        with RawClient(server.url) as client:
            client.send(HEALTH)
            assert client.response()[0] == 200
        before = most(server)
        clients = [opened.enter_context(RawClient(server.url)) for _ in range(20)]
        head = post("/api/v1/run", body)[: -len(body)]
        for client in clients:
            client.send(head + body[: 1024**2])
        for client in clients:
            assert client.response()[0] == 401
            with contextlib.suppress(ConnectionError):  # the server reads on for a moment only
                client.send(body[1024**2 :])
        assert most(server) - before < len(body)
