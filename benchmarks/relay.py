"""What stands before a model server adds to its streams: the front door of `hestiaos serve`, the LiteLLM proxy.

The model server is the replay server. CPU time is that of the process between; the time to the first token is by the
clock, less what the model server takes alone. Open streams wait for their second event.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.contestants import BenchmarkFailed
from benchmarks.litellm_proxy import ENVIRON, KEY, LiteLLMMissing, litellm_command
from benchmarks.measuring import Costs, Plan, interleave
from benchmarks.programs import Program
from benchmarks.replay import replay_server
from benchmarks.results import Goal, Result, Row, compare, seconds, times

_OURS = "hestiaos serve --model-url"
_LITELLM = "LiteLLM proxy"
_BYTES = "bytes passed on by a bare socket"
_PATH = "/v1/chat/completions"

_MOST_FOR_A_CHUNK = 60e-6
_MOST_TO_THE_FIRST = 5e-3
_PATIENCE = 60.0  # seconds of silence
_LAST_CHUNK = b"0\r\n\r\n"


def run(plan: Plan) -> Result:
    """Chunks, first tokens, then memory; and a long life of ours."""
    if not Path("/proc/self/schedstat").exists():
        plan.note("what stands before a model server is left out: this system does not tell what a program has taken")
        return Result()
    with ExitStack() as stack:
        model = stack.enter_context(replay_server()) + "/model"
        programs = _start(plan, stack, f"{model}/v1")
        idle = {name: program.memory() for name, program in programs.items()}
        slow = _measure(programs, plan, f"{plan.size(1000)} slow events")
        fast = _measure(programs, plan, f"{plan.size(10_000)} events")
        first = _first_tokens({"the model server alone": model} | _urls(programs), plan)
        held = {name: _held(program, plan.size(200, quick=5)) for name, program in programs.items() if name != _BYTES}
        streams, grown = _open_runs(plan), _long_life(plan, stack)
    if plan.quick:
        return Result()
    return Result(
        [
            *_chunks("a relayed chunk, one a read", slow),
            *_chunks("a relayed chunk, as fast as they come", fast),
            *_added(first),
            *_memories("memory of an open relayed stream", held, "KiB", 1024),
            *_memories("memory of what relays, at its start", idle, "MiB", 1024**2),
            *_starts(programs),
            streams,
            grown,
        ]
    )


def _start(plan: Plan, stack: ExitStack, model_url: str) -> dict[str, Program]:
    """One after the other, so that none waits for another."""
    folder = Path(stack.enter_context(TemporaryDirectory()))
    ours = ["-m", "hestiaos_cli", "serve", "--quiet", "--port", "{port}", "--model-url", model_url, "--model", "m"]
    bare = ["-m", "benchmarks.peers.pass_bytes", "{port}", model_url]
    programs = {
        _OURS: stack.enter_context(Program([sys.executable, *ours], "/health", {})),
        _BYTES: stack.enter_context(Program([sys.executable, *bare], "/", {})),
    }
    try:
        command = litellm_command(folder, model_url, install=not plan.quick)  # hundreds of megabytes
    except LiteLLMMissing as error:
        plan.note(f"{_LITELLM} is left out: {error}")
    else:
        programs[_LITELLM] = stack.enter_context(Program(command, "/health/liveliness", ENVIRON))
    return programs


def _urls(programs: Mapping[str, Program]) -> dict[str, str]:
    return {name: program.url for name, program in programs.items()}


def _measure(programs: Mapping[str, Program], plan: Plan, wanted: str) -> Costs:
    def turn(program: Program) -> float:
        before = program.cpu()
        chunks = _stream(program.url, wanted)
        return (program.cpu() - before) / chunks

    return interleave({name: partial(turn, program) for name, program in programs.items()}, plan)


def _first_tokens(urls: Mapping[str, str], plan: Plan) -> Costs:
    def turn(url: str) -> float:
        return median(_first_token(url) for _ in range(plan.size(20, quick=1)))

    return interleave({name: partial(turn, url) for name, url in urls.items()}, plan)


@contextmanager
def _asked(url: str, wanted: str) -> Iterator[socket.socket]:
    """A connection on which a stream was asked for."""
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": wanted}]}
    with _connect(url) as sock:
        sock.sendall(_post(urlsplit(url).path + _PATH, body))
        yield sock


def _connect(url: str) -> socket.socket:
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), timeout=_PATIENCE)


def _post(path: str, value: object) -> bytes:
    body = json.dumps(value)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def _stream(url: str, wanted: str) -> int:
    """Read a whole stream. Returns how many chunks it had, of a completion."""
    received = bytearray()
    with _asked(url, wanted) as sock:
        while not received.endswith(_LAST_CHUNK):
            received += _receive(sock)
    chunks = received.count(b"data: {")
    if chunks < int(wanted.partition(" ")[0]):
        raise BenchmarkFailed(f"{wanted} came as {chunks}: {bytes(received[:500]).decode()}")
    return chunks


def _first_token(url: str) -> float:
    began = time.perf_counter()
    with _asked(url, "1 events") as sock:
        received = b""
        while b'"content":"' not in received.replace(b'"content":""', b"").replace(b'"content": "', b'"content":"'):
            received += _receive(sock)
        return time.perf_counter() - began


def _receive(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise BenchmarkFailed("a server closed the connection in the middle of its response")
    return data


def _held(program: Program, count: int) -> float:
    """What an open stream takes, in bytes."""
    before = program.memory()
    with ExitStack() as opened:
        for _ in range(count):
            _receive(opened.enter_context(_asked(program.url, "10 held events")))
        return (program.memory() - before) / count


def _open_runs(plan: Plan) -> Row:
    """What an open stream of a run takes."""
    request = _post("/api/v1/run/stream", {"input": "create a report", "context": {}, "options": {}})
    serve = ["-m", "hestiaos_cli", "serve", "--quiet", "--port", "{port}", "--token-delay", "3600"]
    with Program([sys.executable, *serve], "/health", {}) as program, ExitStack() as opened:
        sizes = []
        for _ in range(2):  # the first of them make room that is there from then on
            before = program.memory()
            for _ in range(plan.size(500, quick=5)):
                sock = opened.enter_context(_connect(program.url))
                sock.sendall(request)
                _receive(sock)
            sizes.append((program.memory() - before) / plan.size(500, quick=5))
    held = f"{sizes[-1] / 1024:.1f} KiB"
    return Row("memory of an open stream of a run", "", "", held, held)


def _long_life(plan: Plan, stack: ExitStack) -> Row:
    """What `hestiaos serve` holds after 12,000 runs, against what it held after 2,000."""
    folder = stack.enter_context(TemporaryDirectory())
    serve = ["-m", "hestiaos_cli", "serve", "--quiet", "--port", "{port}", "--store", f"{folder}/store.db"]
    program = Program([sys.executable, *serve, "--keep-count", "1000"], "/health", {})
    with program:
        _run(program.url, plan.size(2000))
        before = program.memory()
        _run(program.url, plan.size(10_000))
        after = program.memory()
    figures = f"{after / 1024**2:.1f} MiB : {before / 1024**2:.1f} MiB"
    goal = "flat within 1.1 ×"
    return Row(
        "memory after 12,000 runs, 1,000 of each kind kept",
        "2,000 runs",
        goal,
        times(after / before),
        figures,
        after <= 1.1 * before,
    )


def _run(url: str, count: int) -> None:
    request = _post("/api/v1/run", {"input": "create a report", "context": {}, "options": {}})
    with _connect(url) as sock:
        for _ in range(count):
            sock.sendall(request)
            received = b""
            while not received.endswith(b"}"):  # its body's last byte; no other comes last in a piece
                received += _receive(sock)
            if not received.startswith(b"HTTP/1.1 200"):
                raise BenchmarkFailed(f"a run was answered with {received.decode()}")


def _chunks(work: str, costs: Costs) -> list[Row]:
    reached = costs.of(_OURS)
    most = seconds(_MOST_FOR_A_CHUNK)
    return [
        Row(work, "", f"at most {most}", seconds(reached), seconds(reached), reached <= _MOST_FOR_A_CHUNK),
        *compare(work, _OURS, costs, [Goal(_LITELLM, speed=1)]),
    ]


def _added(costs: Costs) -> list[Row]:
    alone = "the model server alone"
    rows = []
    for name in costs.rounds:
        if name == alone:
            continue
        more = costs.difference(name, alone)
        ours = name == _OURS
        rows.append(
            Row(
                f"time to the first token, {name}",
                alone,
                f"at most {seconds(_MOST_TO_THE_FIRST)} more" if ours else "",
                f"{seconds(more)} more",
                f"{seconds(costs.of(name))} : {seconds(costs.of(alone))}",
                more <= _MOST_TO_THE_FIRST if ours else None,
            )
        )
    return rows


def _memories(work: str, held: Mapping[str, float], unit: str, size: int) -> list[Row]:
    ours = held[_OURS]
    return [
        Row(work, name, "", f"{times(ours / each)} as much", f"{ours / size:.1f} {unit} : {each / size:.1f} {unit}")
        for name, each in held.items()
        if name != _OURS
    ]


def _starts(programs: Mapping[str, Program]) -> list[Row]:
    ours = programs[_OURS].started
    return [
        Row(
            "start until it answers",
            name,
            "",
            f"{times(program.started / ours)} as fast",
            f"{seconds(ours)} : {seconds(program.started)}",
        )
        for name, program in programs.items()
        if name == _LITELLM
    ]
