"""Many streams at once in one process: all are open before the first goes on, and only then is time taken.

Whatever the number of streams, they have the same number of events together.
"""

from __future__ import annotations

from functools import partial

from benchmarks.contestants import Contestant, Worker
from benchmarks.measuring import Costs, Plan, checked, interleave, race
from benchmarks.replay import replay_server
from benchmarks.results import Goal, Line, Plot, Result, Row, compare

_OURS = {
    "asyncio": Contestant("hestiaos AsyncClient", "ours:async_streams", ("httpx",), loop="asyncio"),
    "asyncio protocol": Contestant("hestiaos AsyncioClient", "ours:asyncio_streams", loop="asyncio"),
    "trio": Contestant("hestiaos TrioClient", "ours:trio_streams", ("trio",), loop="trio"),
}
_BARE = Contestant("bare httpx.AsyncClient, unparsed", "httpx:async_streams", ("httpx",), loop="asyncio")
_AIOHTTP = Contestant("aiohttp, lines + json", "aiohttp:streams", ("aiohttp",), loop="asyncio")
_CROWDS = (2000, 10_000)  # in which those two meet; both sides of each stream are descriptors
_COUNTS = (1, 10, 100, 500, 2000)
_BARE_COUNTS = _COUNTS[:-1]  # httpx looks at every connection for each that opens or closes: 2,000 take minutes
_EVENTS = 400_000  # 200 a stream, where there are 2,000
_KIB = 1024
_MOST_MEMORY = 1.2


def run(plan: Plan) -> Result:
    """Each contestant with each number of streams."""
    rows: list[Row] = []
    lines: list[Line] = []
    present = plan.present([*_OURS.values(), _BARE])
    with replay_server() as url:
        for contestant in present:
            counts = (1, 20) if plan.quick else _BARE_COUNTS if contestant is _BARE else _COUNTS
            costs = _grow(contestant, counts, url, plan)
            if not plan.quick:
                lines.append(Line(contestant.name, [(count, costs.of(_key(count)) * 1e6) for count in counts]))
                rows += _rows(contestant, costs)
        memory = {one.name: _memory(one, url, plan) for one in present}
        for crowd in (20,) if plan.quick else _CROWDS:
            rows += _crowd(crowd, url, plan)
    if plan.quick:
        return Result()
    rows += [_memory_row(one, memory) for one in _OURS.values() if one.name in memory]
    plot = Plot("stream-count", "Streams at once", "streams at once", "µs per event", lines)
    return Result(rows, [plot])


def _grow(contestant: Contestant, counts: tuple[int, ...], url: str, plan: Plan) -> Costs:
    def turn(worker: Worker, streams: int) -> float:
        events = plan.size(_EVENTS, quick=100) // streams
        sample = worker.measure(url=url, streams=streams, events=events)
        # The first event of each has been read when time is taken. None is lost: all streams come to their end.
        return checked(contestant.name, sample, streams * (events - 1)).cost

    rounds = Plan(plan.quick, rounds=min(plan.rounds, 2))
    with Worker(contestant) as worker:
        worker.measure(url=url, streams=1, events=5)
        return interleave({_key(count): partial(turn, worker, count) for count in counts}, rounds, warm_up=False)


def _crowd(streams: int, url: str, plan: Plan) -> list[Row]:
    """`AsyncioClient` and aiohttp with so many streams at once, taking turns."""
    ours, events = _OURS["asyncio protocol"], plan.size(_EVENTS, quick=100) // streams
    rounds = Plan(plan.quick, rounds=min(plan.rounds, 5))
    costs = race([ours, _AIOHTTP], rounds, units=streams * (events - 1), url=url, streams=streams, events=events)
    return compare(f"{_key(streams)} at once, {ours.name}", ours.name, costs, [Goal(_AIOHTTP.name, cost=1.0)])


def _memory(contestant: Contestant, url: str, plan: Plan) -> float:
    """What an open stream holds, in bytes, in a process that has opened only one before."""
    streams = plan.size(_BARE_COUNTS[-1])
    with Worker(contestant) as worker:
        worker.measure(url=url, streams=1, events=5)
        sample = worker.measure(url=url, streams=streams, events=5)
    return (sample.opened - sample.before) / streams


def _key(count: int) -> str:
    return f"{count:,} streams" if count > 1 else "1 stream"


def _rows(contestant: Contestant, costs: Costs) -> list[Row]:
    one, most = _key(1), [*costs.rounds][-1]
    if contestant is _BARE:
        return compare(f"{most} at once, {contestant.name}", most, costs.only(most, one), [])
    return compare(
        f"{most} at once, {contestant.name}, all complete", most, costs.only(most, one), [Goal(one, cost=1.3)]
    )


def _memory_row(contestant: Contestant, memory: dict[str, float]) -> Row:
    ours, theirs = memory[contestant.name], memory.get(_BARE.name)
    figures = f"{ours / _KIB:.1f} KiB" + (f" : {theirs / _KIB:.1f} KiB" if theirs else "")
    reached = f"{ours / theirs:.2f} × as much" if theirs else ""
    goal = f"at most {_MOST_MEMORY:g} × as much" if contestant is _OURS["asyncio"] else ""
    met = ours / theirs <= _MOST_MEMORY if goal and theirs else None
    return Row(f"memory of an open stream, {contestant.name}", _BARE.name, goal, reached, figures, met)
