"""One contestant's process: it carries out its work as often as it is told to, and says what that cost.

A line of standard input holds the arguments of one round, a line of standard output what came of it, both as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.limits import allow_many_files, memory

Work = Callable[..., Any]


def _serve(open_work: Work) -> None:
    for line in sys.stdin:
        before = memory()[0]
        with open_work(**json.loads(line)) as work:
            opened, started = _start()
            units = work()
            _answer(units, started, before, opened)


async def _serve_async(open_work: Work) -> None:
    for line in sys.stdin:  # it blocks the event loop, which has no other work
        before = memory()[0]
        async with open_work(**json.loads(line)) as work:
            opened, started = _start()
            units = await work()
            _answer(units, started, before, opened)


def _serve_trio(open_work: Work) -> None:
    import trio

    trio.run(_serve_async, open_work)


def _start() -> tuple[int, float]:
    opened = memory()[0]
    gc.collect()
    return opened, time.process_time()


def _answer(units: int, started: float, before: int, opened: int) -> None:
    cpu = time.process_time() - started
    held, peak = memory()
    told = {"cpu": cpu, "units": units, "before": before, "opened": opened, "held": held, "peak": peak}
    _answers.write(json.dumps(told) + "\n")
    _answers.flush()


_LOOPS: dict[str, Callable[[Work], None]] = {
    "none": _serve,
    "asyncio": lambda open_work: asyncio.run(_serve_async(open_work)),
    "trio": _serve_trio,
}


if __name__ == "__main__":
    _answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a contestant prints is not an answer
    _told = json.loads(sys.argv[1])
    sys.path[:0] = _told["path"]
    for _hidden in _told["hidden"]:
        sys.modules[_hidden] = None  # type: ignore[assignment]  # the documented way to make an import fail
    allow_many_files()
    _module, _, _name = _told["work"].partition(":")
    _LOOPS[_told["loop"]](getattr(import_module(f"benchmarks.peers.{_module}"), _name))
