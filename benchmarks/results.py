"""What a benchmark came to: rows of the table, and lines of the plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import Factory, frozen

from benchmarks.measuring import Costs


@frozen
class Goal:
    """Either `speed`, at least so many times as fast as `than`, or `cost`, at most so many times its cost."""

    than: str
    speed: float | None = None
    cost: float | None = None

    def met(self, ratio: float) -> bool:
        """Whether it is reached by what costs `ratio` times as much as the peer."""
        return (self.speed is None or 1 / ratio >= self.speed) and (self.cost is None or ratio <= self.cost)

    def __str__(self) -> str:
        return f"at most {self.cost:g} × the cost" if self.speed is None else f"at least {self.speed:g} × as fast"


@frozen
class Row:
    """`met` is `None` where there is no goal. `speed` is for the chart: how many times as fast as `against`."""

    work: str
    against: str
    goal: str
    reached: str
    figures: str
    met: bool | None = None
    speed: float | None = None
    wanted: float | None = None


@frozen
class Line:
    """One line of a plot."""

    name: str
    points: Sequence[tuple[float, float]]


@frozen
class Plot:
    """A cost against a size."""

    name: str
    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log_y: bool = False


@frozen
class Result:
    """What one benchmark came to."""

    rows: Sequence[Row] = Factory(list)
    plots: Sequence[Plot] = Factory(list)


def compare(
    work: str, ours: str, costs: Costs, goals: Sequence[Goal], figure: Callable[[float], str] | None = None
) -> list[Row]:
    """A row for each goal, and for each other contestant one without; `figure` says a cost, by default in seconds."""
    wanted = {goal.than: goal for goal in goals if goal.than in costs}
    others = [name for name in costs.rounds if name not in wanted and name != ours]
    said = figure or seconds
    return [_row(work, ours, costs, name, wanted.get(name), said) for name in [*wanted, *others]]


def _row(work: str, ours: str, costs: Costs, other: str, goal: Goal | None, figure: Callable[[float], str]) -> Row:
    ratio = costs.ratio(ours, other)
    in_cost = goal is not None and goal.speed is None
    return Row(
        work=work,
        against=other,
        goal="" if goal is None else str(goal),
        reached=f"{times(ratio)} the cost" if in_cost else f"{times(1 / ratio)} as fast",
        figures=f"{figure(costs.of(ours))} : {figure(costs.of(other))}",
        met=None if goal is None else goal.met(ratio),
        speed=1 / ratio,
        wanted=None if goal is None else goal.speed or 1 / (goal.cost or 1),
    )


def times(ratio: float) -> str:
    """A ratio for people."""
    return f"{ratio:,.0f} ×" if ratio >= 100 else f"{ratio:.3g} ×"


def seconds(value: float) -> str:
    """A time for people."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-9:.3g} ns"
