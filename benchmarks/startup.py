"""Whole processes, and the building of a client.

A process's time is the CPU time that the system has counted for it, its own and the kernel's. Bytecode is written
beforehand, as pip does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial

from benchmarks.contestants import ROOT, BenchmarkFailed, Contestant
from benchmarks.measuring import Costs, Plan, interleave, race
from benchmarks.results import Goal, Result, Row, compare, seconds

_BUILD = [
    Contestant("hestiaos Client", "ours:build", ("httpx",)),
    Contestant("hestiaos 1.0.0 Client", "published_client:build", published=True),
]
_MOST_TO_BUILD = 1e-3
_MOST_TO_IMPORT = 5e-3

_BARE, _OURS = "bare Python", "import hestiaos"
_CLIENT = "from hestiaos import AsyncClient"
_CLIENT_WITHOUT_TRIO = f"{_CLIENT}, trio not installed"
_MADE, _HTTPX_MADE = f"{_CLIENT}; AsyncClient()", "import httpx; httpx.AsyncClient()"
_PROCESSES = {
    _BARE: ["-c", "pass"],
    _OURS: ["-c", "import hestiaos"],
    _CLIENT: ["-c", "from hestiaos import AsyncClient"],
    _CLIENT_WITHOUT_TRIO: ["-c", "import sys; sys.modules['trio'] = None; from hestiaos import AsyncClient"],
    "import httpx": ["-c", "import httpx"],
    _MADE: ["-c", "from hestiaos import AsyncClient; AsyncClient()"],
    _HTTPX_MADE: ["-c", "import httpx; httpx.AsyncClient()"],
    "hestiaos --help": ["-c", "from hestiaos_cli import main; main()", "--help"],
    "a hello-world of Click, --help": ["-c", "from benchmarks.peers.click_hello import main; main()", "--help"],
}


def run(plan: Plan) -> Result:
    """Build clients, then start processes."""
    count = plan.size(20, quick=1)
    built = race(_BUILD, plan, units=count, count=count)
    processes = Plan(plan.quick, rounds=1 if plan.quick else 2 * plan.rounds)
    costs = interleave({name: partial(_spawn, name, command) for name, command in _PROCESSES.items()}, processes)
    if plan.quick:
        return Result()
    rows = [_absolute("building a client", built, _BUILD[0].name, _MOST_TO_BUILD)]
    rows += compare("building a client", _BUILD[0].name, built, [])
    rows += [_import_row(costs)]
    for ours in (_CLIENT, _CLIENT_WITHOUT_TRIO):
        rows += _one(ours, costs, Goal("import httpx", cost=1.25))
    rows += _one(_MADE, costs, Goal(_HTTPX_MADE, cost=1.25))  # httpx is loaded with the first client only
    rows += _one("hestiaos --help", costs, Goal("a hello-world of Click, --help", cost=1.3))
    return Result(rows)


def _spawn(name: str, arguments: Sequence[str]) -> float:
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchmarkFailed(f"{name} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def _environment() -> Mapping[str, str]:
    dropped = ("PYTHONDONTWRITEBYTECODE", "HESTIAOS_BASE_URL", "HESTIAOS_API_KEY")
    return {name: value for name, value in os.environ.items() if name not in dropped}


def _absolute(work: str, costs: Costs, name: str, most: float) -> Row:
    reached = costs.of(name)
    return Row(work, "", f"below {seconds(most)}", seconds(reached), seconds(reached), reached < most)


def _import_row(costs: Costs) -> Row:
    more = costs.difference(_OURS, _BARE)
    figures = f"{seconds(costs.of(_OURS))} : {seconds(costs.of(_BARE))}"
    goal = f"at most {seconds(_MOST_TO_IMPORT)} more"
    return Row(f"`{_OURS}`", _BARE, goal, f"{seconds(more)} more", figures, more <= _MOST_TO_IMPORT)


def _one(ours: str, costs: Costs, goal: Goal) -> list[Row]:
    return compare(f"`{ours}`", ours, costs.only(ours, goal.than), [goal])
