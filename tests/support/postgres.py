"""A PostgreSQL server of the tests' own: Debian's programs, a directory of its own, a socket that nobody else has."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

__all__ = ["GUARDED", "PostgresServer", "program", "server_or_skip"]

GUARDED = "guarded"
"""A user that needs a password, and has none."""

VARIABLE = "HESTIAOS_TEST_POSTGRES"
"""The environment variable without which no server is started."""


class PostgresServer:
    """A server that runs until `stop`. What it has stored outlives `kill`, but not `remove`."""

    def __init__(self, *settings: str) -> None:
        self._initdb, self._postgres = program("initdb"), program("postgres")
        self._user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
        self.directory = Path(tempfile.mkdtemp(prefix="pg-"))  # short, as a socket's path has to be
        self._settings = [f"--{setting}" for setting in settings]
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        self._run([self._initdb, "-D", self._data, "-U", "hestia", "-A", "trust", "-E", "UTF8", "--no-sync"])
        access = Path(self._data, "pg_hba.conf")
        access.write_text(f"local all {GUARDED} scram-sha-256\n{access.read_text()}")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def _data(self) -> str:
        return f"{self.directory}/data"

    def url(self, database: str = "postgres", user: str = "hestia") -> str:
        """The URL of a database."""
        return f"postgresql://{user}@/{database}?host={self.directory}"

    def start(self) -> None:
        """Start it, and wait until it may be used."""
        log = (self.directory / "log").open("ab")
        arguments = ["-D", self._data, "-k", str(self.directory), "-h", "", *self._settings]
        with log:
            self._process = subprocess.Popen(
                [self._postgres, *arguments], user=self._user, cwd="/", stdout=log, stderr=log, start_new_session=True
            )
        self.wait()

    def wait(self) -> None:
        """Wait until it may be used."""
        import time

        import psycopg

        until = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > until:
                    raise AssertionError((self.directory / "log").read_text()) from None
                time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of it."""
        assert self._process is not None
        for pid in [self._process.pid, *_children(self._process.pid)]:
            os.kill(pid, number)

    def kill(self) -> None:
        """End every process of it at once, as a power cut would."""
        import time

        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)  # so that it starts no process meanwhile
        children = _children(self._process.pid)
        self.signal(signal.SIGKILL)
        self._process.wait()
        until = time.monotonic() + 60
        while any(_runs(child) for child in children):  # else their memory is in use as the next server starts
            assert time.monotonic() < until
            time.sleep(0.01)
        Path(self._data, "postmaster.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """End it in order, the connections with it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def remove(self) -> None:
        """End it, and remove what it has stored."""
        self.stop()
        shutil.rmtree(self.directory)

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, user=self._user, cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@cache
def server() -> PostgresServer:
    """The server that the tests of this process share; it need not outlive a power cut."""
    started = PostgresServer("fsync=off")
    atexit.register(started.remove)
    started.start()
    return started


def server_or_skip() -> PostgresServer:
    """The server, where the tests of PostgreSQL are asked for."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f"PostgreSQL is tested by 'nox -s postgres', or where {VARIABLE} is set")
    return server()


def _children(pid: int) -> list[int]:
    """The children of a process, which may be in sessions of their own. On Linux."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    """Whether a process has not ended; a zombie has. On Linux."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs."""
    folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ["PATH"]]))
    assert found is not None, f"{name} is not installed: apt-get install postgresql"
    return found
