"""A PostgreSQL server of Debian's package, with a directory and a socket of its own, as durable as it is by default."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.contestants import BenchmarkFailed

_PATIENCE = 60.0  # seconds to start


class PostgresMissing(Exception):
    """No server can be started; the message says what is missing."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start it; the URL of its database. Raises `PostgresMissing`."""
    initdb, postgres, ready = map(_program, ("initdb", "postgres", "pg_isready"))
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    with TemporaryDirectory(prefix="pg-") as folder:  # short, as a socket's path has to be
        if user is not None:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        made = [initdb, "-D", data, "-U", "hestia", "-A", "trust", "-E", "UTF8"]
        subprocess.run(made, user=user, cwd="/", check=True, capture_output=True)
        with Path(folder, "log").open("wb") as log:
            process = subprocess.Popen(
                [postgres, "-D", data, "-k", folder, "-h", ""], user=user, cwd="/", stdout=log, stderr=log
            )
        try:
            until = time.monotonic() + _PATIENCE
            while subprocess.run([ready, "-q", "-h", folder]).returncode != 0:
                if process.poll() is not None or time.monotonic() > until:
                    raise BenchmarkFailed(f"PostgreSQL did not start:\n{Path(folder, 'log').read_text()[-4000:]}")
                time.sleep(0.05)
            yield f"postgresql://hestia@/postgres?host={folder}"
        finally:
            process.terminate()
            process.wait()


def _program(name: str) -> str:
    folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ["PATH"]]))
    if found is None:
        raise PostgresMissing(f"{name} is not installed: apt-get install postgresql")
    return found
