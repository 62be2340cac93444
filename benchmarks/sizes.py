"""Large events and long streams: whether a byte and an event keep their price, and memory its size."""

from __future__ import annotations

from functools import partial

from benchmarks.contestants import Contestant, Sample, Worker
from benchmarks.measuring import Costs, Plan, checked, interleave
from benchmarks.results import Line, Plot, Result, Row, seconds

_EVENT = Contestant("hestiaos", "ours:one_event")
_FLOOR = Contestant("joined for msgspec", "floor:one_event", ("msgspec",))
_MANY = Contestant("many events", "ours:many_events")
_MIB = 1024 * 1024
_ONE = "one event of 1 to 64 MiB, pieces of"
_FLAT = 1.3
_FLAT_MEMORY = 1.1

_SIZES = (64 * 1024, 256 * 1024, _MIB, 4 * _MIB, 16 * _MIB, 64 * _MIB)
_PIECES = {"1 B": 1, "1 KiB": 1024, "64 KiB": 65536}
_COUNTS = tuple(10**power for power in range(3, 8))


def run(plan: Plan) -> Result:
    """One event of growing size in pieces of three sizes, then streams of growing length."""
    sizes = [200, 300] if plan.quick else _SIZES
    by_piece = {name: _one_event(_EVENT, piece, sizes, plan) for name, piece in _PIECES.items()}
    floor = {f"64 KiB, {one.name}": _one_event(one, 65536, sizes, plan) for one in plan.present([_FLOOR])}
    counts = [10, 20] if plan.quick else _COUNTS
    by_count, samples = _many_events(counts, plan)
    if plan.quick:
        return Result()
    rows = [_flat(f"{_ONE} {name}", costs, _SIZES[2:], "B", _FLAT) for name, costs in by_piece.items()]
    rows += [_flat(f"{_ONE} {name}", costs, _SIZES[2:], "B", None) for name, costs in floor.items()]
    rows += [_flat("a stream of 10⁴ to 10⁷ events", by_count, _COUNTS[1:], "event", _FLAT), _memory(samples)]
    return Result(rows, [_size_plot(by_piece | floor), _count_plot(by_count)])


def _one_event(contestant: Contestant, piece: int, sizes: tuple[int, ...] | list[int], plan: Plan) -> Costs:
    # Small events are repeated, so that a turn is never short; byte by byte 64 MiB take a minute, and have one turn.
    least = _MIB if piece == 1 else 64 * _MIB

    def turn(worker: Worker, size: int) -> float:
        repeat = 1 if plan.quick else max(1, least // size)
        arguments = {"size": size, "piece": piece, "repeat": repeat}
        return checked(contestant.name, worker.measure(**arguments), size * repeat).cost

    rounds = Plan(plan.quick, rounds=1 if piece == 1 else min(plan.rounds, 3))
    with Worker(contestant) as worker:
        return interleave({_key(size): partial(turn, worker, size) for size in sizes}, rounds, warm_up=piece > 1)


def _many_events(counts: tuple[int, ...] | list[int], plan: Plan) -> tuple[Costs, dict[int, Sample]]:
    samples: dict[int, Sample] = {}

    def turn(count: int) -> float:
        with Worker(_MANY) as worker:  # a new process each time, for its peak of memory
            worker.measure(events=10)
            samples[count] = checked(_MANY.name, worker.measure(events=count), count)
        return samples[count].cost

    rounds = Plan(plan.quick, rounds=min(plan.rounds, 3))
    costs = interleave({_key(count): partial(turn, count) for count in counts}, rounds, warm_up=False)
    return costs, samples


def _key(size: int) -> str:
    return f"{size:,}"


def _flat(work: str, costs: Costs, sizes: tuple[int, ...], unit: str, most: float | None) -> Row:
    each = [costs.of(_key(size)) for size in sizes]
    spread = max(each) / min(each)
    figures = f"{seconds(min(each))} to {seconds(max(each))} per {unit}"
    goal = "" if most is None else f"flat within {most} ×"
    return Row(work, "", goal, f"within {spread:.2f} ×", figures, None if most is None else spread <= most)


def _memory(samples: dict[int, Sample]) -> Row:
    longest, tenth = (samples[count] for count in (_COUNTS[-1], _COUNTS[-2]))
    ratio = longest.peak / tenth.peak
    figures = f"{longest.peak / _MIB:.1f} MiB : {tenth.peak / _MIB:.1f} MiB at the most"
    return Row(
        "memory of a stream of 10⁷ events",
        "one of 10⁶",
        f"flat within {_FLAT_MEMORY} ×",
        f"{ratio:.2f} ×",
        figures,
        ratio <= _FLAT_MEMORY,
    )


def _size_plot(by_piece: dict[str, Costs]) -> Plot:
    lines = [
        Line(f"pieces of {name}", [(size, costs.of(_key(size)) * 1e9) for size in _SIZES])
        for name, costs in by_piece.items()
    ]
    return Plot("event-size", "Decoding one event", "size of the event, in bytes", "ns per byte", lines, log_y=True)


def _count_plot(costs: Costs) -> Plot:
    line = Line("hestiaos, pieces of 64 KiB", [(count, costs.of(_key(count)) * 1e6) for count in _COUNTS])
    return Plot("event-count", "Decoding a stream", "events in the stream", "µs per event", [line])
