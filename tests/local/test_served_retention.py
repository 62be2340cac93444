"""`hestiaos serve --keep-…`, as a process."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.broad import BROAD
from tests.support.raw_client import RUN, RawClient, post
from tests.support.served_process import ServedProcess

pytestmark = BROAD


@pytest.mark.parametrize(("option", "most"), [("--keep-count=10", 10), ("--keep-days=0", 1), ("--keep-bytes=2000", 10)])
def test_only_so_much_is_kept(tmp_path: Path, option: str, most: int) -> None:
    """After 100 executions, the last of which may be younger than the clock's tick."""
    file = tmp_path / "store.db"
    with ServedProcess("--store", str(file), option) as server, RawClient(server.url) as client:
        for _ in range(100):
            client.send(post("/api/v1/run", RUN))
            assert client.response()[0] == 200
    with closing(sqlite3.connect(file)) as db:
        [kept] = db.execute("SELECT count(*) FROM traces").fetchone()
    assert kept <= most
