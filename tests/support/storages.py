"""Every kind of storage, for what all of them promise. One that is added here is tested like the others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from hestiaos_local.storage import Storage, Store, TraceRecord
from tests.support.postgres import server_or_skip

Opener = Callable[[], Storage]


@contextmanager
def _memory(directory: Path) -> Iterator[Opener]:
    store = Store()
    yield lambda: store
    store.close()


@contextmanager
def _sqlite(directory: Path) -> Iterator[Opener]:
    opened: list[Storage] = []

    def opener() -> Storage:
        opened.append(Store(directory / "store.db"))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()


@contextmanager
def _postgresql(directory: Path) -> Iterator[Opener]:
    with postgres_url() as url:
        opened: list[Storage] = []

        def opener() -> Storage:
            opened.append(Store(url))
            return opened[-1]

        try:
            yield opener
        finally:
            for store in opened:
                store.close()


@contextmanager
def postgres_url() -> Iterator[str]:
    """The URL of an empty database. The test is skipped where PostgreSQL is not to be tested."""
    url = server_or_skip().url()
    import psycopg

    try:
        yield url
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET lock_timeout = '10s'")
            connection.execute("DROP SCHEMA IF EXISTS hestiaos CASCADE")


STORAGES: Mapping[str, Callable[[Path], AbstractContextManager[Opener]]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgresql": _postgresql,
}
"""Each gives a function that opens the same storage as often as it is called; `directory` is an empty one for files."""


def trace(trace_id: str, decision: str = "ALLOW", decided_at: float = 0.0, text: str = "") -> TraceRecord:
    """A trace of a decision."""
    return TraceRecord(trace_id, decision, decided_at, {"text": text})


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run `code` in another process, with the same modules at hand."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=environ)
