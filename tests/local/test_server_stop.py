"""How a server ends."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hestiaos_local import Store
from hestiaos_proto import ServerRequest
from tests.support.broad import BROAD
from tests.support.raw_client import RUN, RawClient, post
from tests.support.served_process import ServedProcess
from tests.support.watched_platforms import Occupied


def test_a_server_that_stops_cuts_its_streams(serve_platform: Any, backend: str) -> None:
    url = serve_platform(backend=backend, token_delay=3600.0)
    with RawClient(url) as peer:
        peer.send(post("/api/v1/run/stream", RUN))
        assert peer.head()[0] == 200
        assert b'"start"' in peer.chunk()
        serve_platform.stop(url)
        assert peer.at_end()  # without the last chunk
    with pytest.raises(ConnectionRefusedError):
        RawClient(url)


def test_a_server_that_stops_finishes_what_it_executes(serve_platform: Any, backend: str, tmp_path: Path) -> None:
    with Occupied(Store(tmp_path / "store.db")) as platform:
        url = serve_platform(platform=platform, backend=backend)
        with RawClient(url) as peer:
            peer.send(post("/api/v1/run", RUN))
            assert platform.began.wait(50)
            stopping = threading.Thread(target=serve_platform.stop, args=(url,))
            stopping.start()
            platform.go_on.set()
            stopping.join(50)
        status = platform.answer(ServerRequest("governance_status", {}, {}))
        assert isinstance(status, dict)
        assert status["decisions"]["ALLOW"] == 1


def wait_until_refused(url: str) -> None:
    """Wait until the server takes no new connection."""
    while True:
        try:
            RawClient(url).__exit__()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it waited to be accepted when the listener was closed
            pass


def can_unshare() -> bool:
    return subprocess.run([*FIRST_PROCESS, "true"], capture_output=True, check=False).returncode == 0


FIRST_PROCESS = ("unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")


@BROAD
@pytest.mark.parametrize(
    ("number", "prefix"), [(signal.SIGTERM, ()), (signal.SIGINT, ()), (signal.SIGTERM, FIRST_PROCESS)], ids=str
)
def test_a_signal_ends_streams_in_their_order_and_the_file_alone_holds_everything(
    tmp_path: Path, number: signal.Signals, prefix: tuple[str, ...]
) -> None:
    """As the first process of a container too, where the system ignores a signal that has no handler."""
    if prefix and not can_unshare():
        pytest.skip("this machine does not allow namespaces")
    file, copy = tmp_path / "store.db", tmp_path / "copy.db"
    options = ("--store", str(file), "--token-delay", "3600")
    with ServedProcess(*options, prefix=prefix) as server, contextlib.ExitStack() as opened:
        streams = [opened.enter_context(RawClient(server.url)) for _ in range(50)]
        idle = opened.enter_context(RawClient(server.url))
        for _ in range(10):
            idle.send(post("/api/v1/run", RUN))
            assert idle.response()[0] == 200
        for client in streams:
            client.send(post("/api/v1/run/stream", RUN))
        for client in streams:
            assert client.head()[0] == 200
            assert b'"start"' in client.chunk()
        server.send_signal(number)
        for client in streams:
            error, last = b"".join(iter(client.chunk, b"")).split(b"\n\n")[:-1]
            assert b'"type":"error"' in error
            assert b'"code":"STOPPING"' in error
            assert b'"type":"done"' in last
            assert client.at_end()
        assert idle.at_end()
        assert server.end() == (0, "stopped\n")
    copy.write_bytes(file.read_bytes())
    assert [each.name for each in tmp_path.iterdir() if each.suffix != ".db"] == []
    with contextlib.closing(sqlite3.connect(copy)) as db:
        assert db.execute("SELECT count(*) FROM traces").fetchone() == (60,)


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[tuple[ServedProcess, sqlite3.Connection]]:
    """A server whose store another program has locked."""
    file = tmp_path / "store.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    with contextlib.closing(other), ServedProcess("--store", str(file)) as server:
        other.execute("BEGIN IMMEDIATE")
        yield server, other


def begin_run(client: RawClient) -> None:
    """Have a run be under way, of which the server knows."""
    request = post("/api/v1/run", RUN, "Expect: 100-continue")
    client.send(request.removesuffix(RUN))
    assert client.head()[0] == 100
    client.send(RUN)


def test_what_is_executed_when_the_signal_comes_is_answered(locked: tuple[ServedProcess, sqlite3.Connection]) -> None:
    server, other = locked
    with RawClient(server.url) as client:
        begin_run(client)
        server.send_signal(signal.SIGTERM)
        wait_until_refused(server.url)
        other.execute("ROLLBACK")
        status, headers = client.head()
        assert (status, headers["connection"]) == (200, "close")
    assert server.end() == (0, "stopped\n")


def test_a_second_signal_ends_a_server_at_once(locked: tuple[ServedProcess, sqlite3.Connection]) -> None:
    server, _ = locked
    with RawClient(server.url) as client:
        begin_run(client)
        server.send_signal(signal.SIGTERM)
        wait_until_refused(server.url)
        server.send_signal(signal.SIGTERM)
        assert server.end() == (128 + signal.SIGTERM, "")
