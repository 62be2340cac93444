"""Every trace and secret that was acknowledged is there after the process was killed, wherever it was."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hestiaos_local import Platform
from hestiaos_local.storage import Claimed, Finished, InProgress, Store, verify_log
from hestiaos_proto import RateLimited, RunResponse, parse_request
from tests.support.broad import BROAD
from tests.support.policies import limited
from tests.support.storages import python

pytestmark = BROAD

WRITER = """
import os, sys
from threading import Thread
from hestiaos_local.storage import *
store = Store(sys.argv[1])
def tell(what, trace_id):
    os.write(1, f"{what} {trace_id}\\n".encode())
def work(name):
    number = 0
    while True:
        trace_id = f"{name}.{number}"
        token = store.claim(trace_id, "f", now=0.0, lease=60.0).token
        store.add_trace(TraceRecord(trace_id, "ALLOW", 0.0, {"text": "x" * 200}))
        tell("decided", trace_id)
        store.finish_trace(trace_id, Outcome("completed"))
        store.finish(trace_id, token, trace_id)
        tell("finished", trace_id)
        store.set_secret(trace_id, trace_id, "custom")
        tell("secret", trace_id)
        if number % 5 == 4:
            store.prune(Retention(max_bytes=10**9, max_count=10**6), now=0.0)
        number += 1
for thread in range(2):
    Thread(target=work, args=(f"{sys.argv[2]}.{thread}",)).start()
"""


def kill_while_it_writes(file: Path, number: int, acknowledged: int) -> list[list[str]]:
    """Start a writer and kill it after so many acknowledgements. Returns all that it acknowledged."""
    writer = python(WRITER, file, number)
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(acknowledged)]
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    lines += rest.splitlines(keepends=True)
    assert writer.returncode == -signal.SIGKILL, "".join(lines)
    return [line.split() for line in lines if line.endswith("\n")]


def check(file: Path, acknowledged: list[list[str]]) -> None:
    with closing(Store(file)) as store:
        for what, name in acknowledged:
            found = store.trace(name)
            assert found is not None
            if what != "decided":
                assert found.outcome is not None
                assert found.outcome.status == "completed"
            if what == "secret":
                assert store.secret(name) == name
        for name in {name for _, name in acknowledged[-20:]}:
            finished = ["finished", name] in acknowledged
            claim = store.claim(name, "f", now=1.0, lease=60.0)
            assert claim == Finished(name) if finished else isinstance(claim, InProgress | Finished)
        assert verify_log(store).ok
        count = store.decisions()["ALLOW"]
        assert sum(store.decisions(newest=count + 1).values()) == count
        assert count >= len({name for _, name in acknowledged})
    integrity = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone())"
    told = subprocess.run([sys.executable, "-c", integrity, str(file)], capture_output=True, text=True, check=True)
    assert told.stdout == "ok\n"


def kill_repeatedly(file: Path, times: int) -> None:
    acknowledged = []
    choose = random.Random(12)
    for number in range(times):
        acknowledged += kill_while_it_writes(file, number, choose.randrange(1, 40))
        check(file, acknowledged)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_in_the_middle_of_writes(tmp_path: Path) -> None:
    kill_repeatedly(tmp_path / "store.db", 5)


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.timeout(300)
def test_killed_fifty_times_in_the_middle_of_writes(tmp_path: Path) -> None:
    kill_repeatedly(tmp_path / "store.db", 50)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_claim_of_a_killed_process_ends_with_its_lease(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    code = (
        "import os, signal, sys; from hestiaos_local.storage import Store\n"
        "Store(sys.argv[1]).claim('k', 'f', now=0.0, lease=60.0); os.kill(os.getpid(), signal.SIGKILL)"
    )
    with python(code, file) as process:
        assert process.wait() == -signal.SIGKILL
    with closing(Store(file)) as store:
        assert store.claim("k", "f", now=59.0, lease=60.0) == InProgress(1.0)
        assert isinstance(store.claim("k", "f", now=60.0, lease=60.0), Claimed)


LIMIT = 'per = "all"\ntokens = 1000\nwindow = "1h"'
KILLED = """
import os, signal, sys
from hestiaos_local import Platform, Store
from hestiaos_local.execution import function_executor
from hestiaos_proto import parse_request
from tests.support.policies import limited

def model(work):
    yield "something"
    os.kill(os.getpid(), signal.SIGKILL)

platform = Platform(
    policy=limited(sys.argv[2]), store=Store(sys.argv[1]), executor=function_executor(model), clock=lambda: 1_000_000.0,
    new_id=lambda: "killed",
)
platform.respond(parse_request("POST", "/api/v1/run", {}, b'{"input": "go on"}'))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_what_a_process_leaves_that_is_killed_in_the_midst_of_an_execution(tmp_path: Path) -> None:
    """A trace that says so, a log that is intact, and a reservation that leaves with its window."""
    file = tmp_path / "store.db"
    with python(KILLED, file, LIMIT) as process:
        told, _ = process.communicate()
        assert process.returncode == -signal.SIGKILL, told
    now = 1_000_000.0
    call = parse_request("POST", "/api/v1/run", {}, b'{"input": "go on"}')
    with Platform(policy=limited(LIMIT), store=Store(file), clock=lambda: now) as platform:
        trace = platform.answer(parse_request("GET", "/api/governance/trace/killed", {}, b""))
        assert isinstance(trace, dict)
        assert (trace["decision"], trace["outcome"]) == ("ALLOW", "decided")
        assert trace["admission"]["reserved_tokens"] == 1000
        refused = platform.respond(call)
        assert isinstance(refused, RateLimited)
        assert refused.retry_after is not None
        assert refused.retry_after <= 3660
        now += refused.retry_after
        assert isinstance(platform.respond(call), RunResponse)
    with closing(Store(file)) as store:
        assert verify_log(store).ok
