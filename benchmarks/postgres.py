"""Four workers over one PostgreSQL database, against one process with a SQLite file: pace and latency by the clock.

Sixteen callers, each on a connection of its own, ask for one thing after another, and keep all of them busy. What asks,
the database and the model share the machine with the workers; so its cores are what limits the pace.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from attrs import Factory, frozen

from benchmarks.contestants import BenchmarkFailed
from benchmarks.measuring import Plan, interleave
from benchmarks.postgres_server import PostgresMissing, postgres_server
from benchmarks.programs import Program
from benchmarks.replay import replay_server
from benchmarks.results import Result, Row, compare, seconds, times

_OURS = "4 workers on PostgreSQL"
_SQLITE = "1 process on SQLite"
_ONE = "1 worker on PostgreSQL"
_CALLERS = 16
_ROUNDS = 5  # at most: a round takes seconds
_PATIENCE = 120.0  # seconds for one round
_LAST_CHUNK = b"0\r\n\r\n"
_RUN = ("/api/v1/run", {"input": "create a report", "context": {}, "options": {}})
_COMPLETION = (
    "/v1/chat/completions",
    {"model": "m", "stream": True, "messages": [{"role": "user", "content": "50 slow events"}]},
)


@frozen
class _Group:
    """Processes that share a store, and what their callers have waited for, in seconds."""

    urls: Sequence[str]
    waited: list[float] = Factory(list)


def run(plan: Plan) -> Result:
    """Small runs, answered by the echo; then streams of 50 events that are relayed from a model server."""
    if find_spec("psycopg_pool") is None:
        plan.note("workers on PostgreSQL are left out: psycopg is not installed")
        return Result()
    try:
        with ExitStack() as stack:
            database = stack.enter_context(postgres_server())
            model = stack.enter_context(replay_server()) + "/model/v1"
            folder = stack.enter_context(TemporaryDirectory())
            rows = _race("small runs", _run, plan, plan.size(800), database, folder, [])
            relaying = ["--model-url", model, "--model", "m"]
            rows += _race("relayed streams of 50 events", _stream, plan, plan.size(160), database, folder, relaying)
    except PostgresMissing as error:
        plan.note(f"workers on PostgreSQL are left out: {error}")
        return Result()
    return Result() if plan.quick else Result(rows)


def _race(
    work: str,
    ask: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[float]],
    plan: Plan,
    count: int,
    database: str,
    folder: str,
    options: Sequence[str],
) -> list[Row]:
    file = str(Path(folder, f"{len(options)}.sqlite3"))
    with ExitStack() as stack:
        groups = {
            name: _Group([stack.enter_context(_serve(store, options)).url for _ in range(number)])
            for name, store, number in ((_OURS, database, 4), (_SQLITE, file, 1), (_ONE, database, 1))
        }
        measures = {name: partial(_load, group, ask, count) for name, group in groups.items()}
        costs = interleave(measures, Plan(plan.quick, min(plan.rounds, _ROUNDS)))
    cores = f"{os.cpu_count()} cores"
    return [
        *compare(f"{work} for each second, {_OURS}, {cores}", _OURS, costs, [], lambda cost: f"{1 / cost:,.0f} /s"),
        *_latencies(f"latency of {work}, {_CALLERS} at once, {_OURS}", groups),
    ]


def _serve(store: str, options: Sequence[str]) -> Program:
    serve = ["-m", "hestiaos_cli", "serve", "--quiet", "--port", "{port}", "--store", store, *options]
    return Program([sys.executable, *serve], "/health", {})


def _load(
    group: _Group, ask: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[float]], count: int
) -> float:
    """Have `count` things done, a caller for each of `_CALLERS` connections. Returns the seconds for each."""

    async def caller(url: str, left: list[None]) -> None:
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        while left:
            left.pop()
            group.waited.append(await ask(reader, writer))
        writer.close()

    async def load() -> None:
        left = [None] * count
        async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as tasks:
            for number in range(_CALLERS):
                tasks.create_task(caller(group.urls[number % len(group.urls)], left))

    began = time.perf_counter()
    asyncio.run(load())
    return (time.perf_counter() - began) / count


async def _run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    """Ask for a run. Returns the seconds until its result is there."""
    began = time.perf_counter()
    writer.write(_post(*_RUN))
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = [line[16:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")]
    body = await reader.readexactly(int(length))
    if not head.startswith(b"HTTP/1.1 200"):
        raise BenchmarkFailed(f"a run was answered with {(head + body).decode()}")
    return time.perf_counter() - began


async def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    """Ask for a completion, and read it to its end. Returns the seconds until its first text was there."""
    began, first = time.perf_counter(), 0.0
    writer.write(_post(*_COMPLETION))
    received = bytearray()
    while not received.endswith(_LAST_CHUNK):
        if not (data := await reader.read(65536)):
            raise BenchmarkFailed(f"a stream ended after {bytes(received[:500]).decode()}")
        received += data
        if not first and received.count(b"data: {") > 1:
            first = time.perf_counter() - began
    if received.count(b"data: {") < 50:
        raise BenchmarkFailed(f"a stream had too few events: {bytes(received[:500]).decode()}")
    return first


def _post(path: str, value: object) -> bytes:
    body = json.dumps(value)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def _latencies(work: str, groups: Mapping[str, _Group]) -> list[Row]:
    shown = {name: _percentiles(group.waited) for name, group in groups.items()}
    rows = []
    for name, (half, most) in shown.items():
        if name != _OURS:
            ours = shown[_OURS]
            figures = f"{seconds(ours[0])}, {seconds(ours[1])} : {seconds(half)}, {seconds(most)}"
            reached = f"p50 {times(ours[0] / half)}, p99 {times(ours[1] / most)} as long"
            rows.append(Row(work, name, "", reached, figures))
    return rows


def _percentiles(waited: Sequence[float]) -> tuple[float, float]:
    cuts = quantiles(waited, n=100)
    return cuts[49], cuts[98]
