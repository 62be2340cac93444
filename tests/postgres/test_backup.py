"""A database that is dumped while it is written, and restored: it is a store of one moment, which goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from hestiaos_local.storage import Claimed, Finished, Outcome, Store, verify_log
from tests.support.postgres import program, server_or_skip
from tests.support.storages import trace

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def restored() -> Iterator[str]:
    """The URL of an empty database of its own."""
    server = server_or_skip()
    with psycopg.connect(server.url(), autocommit=True) as administrator:
        administrator.execute("DROP DATABASE IF EXISTS restored")
        administrator.execute("CREATE DATABASE restored")
        yield server.url("restored")
        administrator.execute("DROP DATABASE restored WITH (FORCE)")


def execute(store: Store, number: int) -> None:
    claim = store.claim(f"k{number}", "f", now=1.0, lease=60.0)
    assert isinstance(claim, Claimed)
    store.add_trace(trace(str(number)))
    store.finish_trace(str(number), Outcome("completed"))
    store.finish(f"k{number}", claim.token, number)


def run(name: str, *arguments: str) -> None:
    done = subprocess.run([program(name), *arguments], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr


def test_a_dump_of_a_store_in_use(url: str, restored: str, tmp_path: Path) -> None:
    dump, enough = str(tmp_path / "hestia.dump"), Event()
    with closing(Store(url)) as store:
        for number in range(20):
            execute(store, number)
        store.set_secret("k", "v", "vault")
        store.add_messages("s", [{"content": "x"}], now=1.0)

        def go_on() -> None:
            number = 20
            while not enough.is_set():
                execute(store, number)
                number += 1

        writer = Thread(target=go_on)
        writer.start()
        try:
            run("pg_dump", "--format=custom", "--schema=hestiaos", f"--file={dump}", url)
        finally:
            enough.set()
            writer.join()
        before = verify_log(store)
    run("pg_restore", "--exit-on-error", f"--dbname={restored}", dump)
    with closing(Store(restored)) as store:
        report = verify_log(store)
        assert (report.ok, 40 <= report.count <= before.count) == (True, True)
        assert all(store.trace(str(number)) is not None for number in range(20))
        assert store.claim("k7", "f", now=1.0, lease=60.0) == Finished(7)
        assert (store.secret("k"), store.messages("s")) == ("v", [{"content": "x"}])
        execute(store, 1_000_000)
        store.add_messages("s", [{"content": "y"}], now=2.0)
        assert verify_log(store, known=report.heads).ok
