"""A worker, or the server itself, is killed in the middle of writes: nothing acknowledged is lost, no cap is exceeded.

The workers go on by themselves once the server is there again.
"""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from threading import Event, Thread

import pytest

from hestiaos_local.governance import Limit
from hestiaos_local.storage import Finished, Store, verify_log
from tests.support.postgres import PostgresServer, server_or_skip
from tests.support.storages import python

WORKERS = 2

WORKER = """
import os, sys, time
from threading import Thread
from hestiaos_local.governance import Charge, Exhausted, Limit
from hestiaos_local.storage import *

url, name, count, cap = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
limit = Limit(name="all", per="all", window=1e9, requests=cap, tokens=None)
charge = Charge(name="all", per="all", subject="", limit=limit)

def again(use):
    while True:
        try:
            return use()
        except StoreError as error:
            if error.retry_after is None:
                raise
            time.sleep(0.05)

store = again(lambda: Store(url, busy_timeout=2.0))

def tell(what, key):
    os.write(1, f"{what} {key}\\n".encode())

def write(key):
    if not isinstance(again(lambda: store.reserve([charge], now=1.0)), Exhausted):
        tell("admitted", key)
    attempts = iter(range(10**6))
    def decide():
        trace_id = f"{key}.{next(attempts)}"  # each try is another execution
        store.add_trace(TraceRecord(trace_id, "ALLOW", 1.0, {"text": "x" * 200}))
        return trace_id
    token = again(lambda: store.claim(key, "f", now=1.0, lease=0.0)).token
    trace_id = again(decide)
    tell("decided", trace_id)
    again(lambda: store.finish_trace(trace_id, Outcome("completed")))
    tell("finished", trace_id)
    if again(lambda: store.finish(key, token, key)):
        tell("result", key)
    again(lambda: store.add_messages("s", [{"key": key}], now=1.0))
    tell("message", key)

def work(thread):
    for number in range(count):
        write(f"{name}.{thread}.{number}")

threads = [Thread(target=work, args=(each,)) for each in range(2)]
for each in threads: each.start()
for each in threads: each.join()
store.close()
tell("over", name)
"""


class Workers:
    """Processes that write; what they have acknowledged is read as it comes."""

    def __init__(self, url: str, name: str, each: int, cap: int) -> None:
        self.acknowledged: list[tuple[str, str]] = []
        self._arguments = (url, each, cap)
        self._processes: list[tuple[subprocess.Popen[str], Thread]] = []
        self._names = (f"{name}.{number}" for number in count())
        self._waited_for, self._come = 0, Event()

    def start(self) -> None:
        url, each, cap = self._arguments
        process = python(WORKER, url, next(self._names), each, cap)
        assert process.stdin is not None
        process.stdin.close()
        reader = Thread(target=self._read, args=(process,))
        reader.start()
        self._processes.append((process, reader))

    def wait(self, acknowledged: int) -> None:
        """Wait until so many more acknowledgements are there."""
        self._come.clear()
        self._waited_for = len(self.acknowledged) + acknowledged
        assert self._come.wait(60), self.acknowledged[-5:]

    def kill(self) -> None:
        """Kill the oldest."""
        process, reader = self._processes.pop(0)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was over already"
        reader.join()

    def join(self) -> None:
        """Wait until all have done all."""
        for process, reader in self._processes:
            reader.join(120)
            assert process.wait(10) == 0, self.acknowledged[-5:]
        assert [what for what, _ in self.acknowledged].count("over") == len(self._processes)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                if line.endswith("\n"):  # else it was cut
                    what, _, name = line[:-1].partition(" ")
                    self.acknowledged.append((what, name))
                if len(self.acknowledged) >= self._waited_for:
                    self._come.set()


@pytest.fixture
def durable_server() -> Iterator[PostgresServer]:
    """A server as it is by default: what it acknowledges is on the disk."""
    server_or_skip()
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def kill_and_check(server: PostgresServer, victim: str, name: str, writes: int, choose: random.Random) -> None:
    """Kill in the middle of so many writes."""
    cap = writes // 2
    workers = Workers(server.url(), name, writes // (2 * WORKERS), cap)
    for _ in range(WORKERS):
        workers.start()
    workers.wait(choose.randrange(writes))
    if victim == "worker":
        workers.kill()
        workers.start()  # as a supervisor does
    else:
        server.kill()
        server.start()
    workers.join()
    with closing(Store(server.url())) as store:
        check(store, workers.acknowledged, cap)
        store_again(store)


def check(store: Store, acknowledged: list[tuple[str, str]], cap: int) -> None:
    names = {what: [name for each, name in acknowledged if each == what] for what, _ in acknowledged}
    for trace_id in names["decided"]:
        assert store.trace(trace_id) is not None
    for trace_id in names["finished"]:
        found = store.trace(trace_id)
        assert found is not None
        assert found.outcome is not None
    results = set(names["result"][-100:])  # the newest thousand are kept
    assert all(store.claim(key, "f", now=1.0, lease=0.0) == Finished(key) for key in results)
    assert {each["key"] for each in store.messages("s")} >= set(names["message"])
    assert len(names["admitted"]) <= cap
    [use] = store.usage([Limit(name="all", per="all", window=1e9, requests=cap)], now=1.0)
    assert len(names["admitted"]) <= use.requests <= cap
    report = verify_log(store)
    assert report.ok, report.faults
    assert len(report.heads) <= WORKERS + 1  # a killed worker's chain is free as soon as the server notices
    decided = store.decisions()["ALLOW"]
    assert sum(store.decisions(newest=decided + 1).values()) == decided


def store_again(store: Store) -> None:
    """Empty it for the next time."""
    with store._database.write() as db:
        for table in ("results", "counters", "messages", "sessions"):
            db.execute(f"DELETE FROM {table}")
        db.execute("DELETE FROM kept WHERE kind IN ('results', 'sessions')")


@pytest.mark.parametrize("victim", ["worker", "server"])
def test_killed_in_the_middle_of_writes(durable_server: PostgresServer, victim: str) -> None:
    kill_and_check(durable_server, victim, "once", 100, random.Random(12))


@pytest.mark.thorough
@pytest.mark.parametrize("victim", ["worker", "server"])
def test_killed_twenty_times_in_the_middle_of_a_thousand_writes(durable_server: PostgresServer, victim: str) -> None:
    choose = random.Random(14)
    for number in range(20):
        kill_and_check(durable_server, victim, str(number), 1000, choose)
