"""Many processes with many calls at once never overrun a limit: as much as it allows is admitted, to the last token."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import pytest

from hestiaos_local.storage import Store, verify_log
from tests.support.broad import BROAD
from tests.support.policies import limited
from tests.support.storages import python

pytestmark = BROAD

REQUESTS = 'per = "all"\nrequests = 100\nwindow = "1h"'
# Each execution may use 100 tokens: 1 of its input, 99 of its output.
TOKENS = """per = "all"
tokens = 10_000
window = "1h"
[[rules]]
name = "short"
on = "command"
pattern = "RUN"
decision = "THROTTLE"
max_tokens = 99
risk = 0.1
reason = "short answers"
"""

CALLER = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from hestiaos import Client, RateLimited
from hestiaos_local import LocalTransport, Platform, Policy, Store
from hestiaos_local.execution import Text, Usage, function_executor
from tests.support.policies import limited

def model(work):
    time.sleep(0.01)
    yield Text("x")
    yield Usage(1, int(sys.argv[3]))

def run(number):
    try:
        client.run("four")
        return "admitted"
    except RateLimited:
        return "refused"

store = Store(sys.argv[1], busy_timeout=60.0)
platform = Platform(policy=limited(sys.argv[2]), store=store, executor=function_executor(model))
client = Client(transport=LocalTransport(platform), retries=0)
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(50) as pool:
    told = list(pool.map(run, range(int(sys.argv[4]))))
print(json.dumps({each: told.count(each) for each in ("admitted", "refused")}))
"""


def call(file: Path, limit: str, processes: int, calls: int, written: int = 99) -> int:
    """Have so many processes run so many calls each at once. How many were admitted."""
    started = [python(CALLER, file, limit, written, calls) for _ in range(processes)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = []
    for process in started:
        said, _ = process.communicate()
        assert process.returncode == 0, said
        told.append(json.loads(said))
    assert sum(each["admitted"] + each["refused"] for each in told) == processes * calls
    return sum(each["admitted"] for each in told)


def check(file: Path, limit: str, processes: int, calls: int) -> None:
    assert call(file, limit, processes, calls) == 100
    with closing(Store(file)) as store:
        [use] = store.usage(limited(limit).limits, now=time.time())
        assert (use.requests, use.tokens) == (100, 10_000 if use.max_tokens else 0)
        outcomes = [trace.outcome.status for trace in store.traces(limit=1000) if trace.outcome is not None]
        assert {status: outcomes.count(status) for status in set(outcomes)} == {
            "completed": 100,
            "blocked": processes * calls - 100,
        }
        assert verify_log(store).ok


@pytest.mark.parametrize("limit", [REQUESTS, TOKENS], ids=["requests", "tokens"])
def test_two_processes(tmp_path: Path, limit: str) -> None:
    check(tmp_path / "store.db", limit, 2, 60)


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("limit", [REQUESTS, TOKENS], ids=["requests", "tokens"])
def test_eight_processes_twenty_times(tmp_path: Path, limit: str) -> None:
    for number in range(20):
        check(tmp_path / f"{number}.db", limit, 8, 50)


def test_what_is_not_used_is_admitted_to_others(tmp_path: Path) -> None:
    """Each uses half of what is reserved for it, so that more are admitted, within the same limit."""
    file = tmp_path / "store.db"
    admitted = call(file, TOKENS, 2, 60, written=49)
    assert 100 < admitted <= 120
    with closing(Store(file)) as store:
        [use] = store.usage(limited(TOKENS).limits, now=time.time())
        assert (use.requests, use.tokens) == (admitted, admitted * 50)
