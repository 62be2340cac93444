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
from tempfile import TemporaryDirectory

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
_HELLO = "a hello-world of Click with as many options, --help"
_WITHOUT_RE2 = "hestiaos --local run x, RE2 not installed"
_PROGRAM = ["-c", "from hestiaos_cli import main; main()"]
_PROCESSES = {
    _BARE: ["-c", "pass"],
    _OURS: ["-c", "import hestiaos"],
    _CLIENT: ["-c", "from hestiaos import AsyncClient"],
    _CLIENT_WITHOUT_TRIO: ["-c", "import sys; sys.modules['trio'] = None; from hestiaos import AsyncClient"],
    "import httpx": ["-c", "import httpx"],
    _MADE: ["-c", "from hestiaos import AsyncClient; AsyncClient()"],
    _HTTPX_MADE: ["-c", "import httpx; httpx.AsyncClient()"],
    "hestiaos --help": [*_PROGRAM, "--help"],
    "hestiaos --version": [*_PROGRAM, "--version"],
    "hestiaos run --help": [*_PROGRAM, "run", "--help"],
    "hestiaos run --nonsense": [*_PROGRAM, "run", "--nonsense"],
    "hestiaos --local run x": [*_PROGRAM, "--local", "run", "x"],
    _WITHOUT_RE2: ["-c", f"import sys; sys.modules['re2'] = None; {_PROGRAM[1]}", "--local", "run", "x"],
    _HELLO: ["-c", "from benchmarks.peers.click_options import main; main()", "--help"],
}
_USAGE_ERROR = 2
_COMMAND_LINE = {
    "hestiaos --help": 1.3,
    "hestiaos --version": 1.3,
    "hestiaos run --help": 1.3,
    "hestiaos run --nonsense": 1.3,
    "hestiaos --local run x": 3.0,
    _WITHOUT_RE2: 3.0,
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
    for command, cost in _COMMAND_LINE.items():
        rows += _one(command, costs, Goal(_HELLO, cost=cost))
    return Result(rows)


def _spawn(name: str, arguments: Sequence[str]) -> float:
    command = [sys.executable, *arguments]
    with TemporaryDirectory() as home:
        process = subprocess.Popen(
            command, cwd=ROOT, env=_environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, _USAGE_ERROR if "--nonsense" in arguments else 0):
        raise BenchmarkFailed(f"{name} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime


def _environment(home: str) -> Mapping[str, str]:
    dropped = ("PYTHONDONTWRITEBYTECODE", "HESTIAOS_BASE_URL", "HESTIAOS_API_KEY", "HESTIAOS_PROFILE")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}


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
