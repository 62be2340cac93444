"""Interleaving: A B C A B C …, so that what disturbs the machine disturbs all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any

from attrs import Factory, define, field, frozen

from benchmarks.contestants import BenchmarkFailed, Contestant, Sample, Worker


@define
class Plan:
    """How much to measure. `quick` does everything once, in its smallest form, and looks at no clock."""

    quick: bool = False
    rounds: int = 15
    notes: list[str] = field(factory=list)

    def size(self, full: int, quick: int = 20) -> int:
        """How many units a round has."""
        return quick if self.quick else full

    def present(self, contestants: Sequence[Contestant]) -> list[Contestant]:
        """Those that can take part; of the others a note is made."""
        found = []
        for contestant in contestants:
            if (reason := contestant.missing()) is None:
                found.append(contestant)
            else:
                self.note(f"{contestant.name} is left out: {reason}")
        return found

    def note(self, text: str) -> None:
        """Say something that the results have to say too."""
        if text not in self.notes:
            self.notes.append(text)
            print(f"note: {text}", flush=True)


@frozen
class Costs:
    """What a unit cost each contestant, in seconds, round by round."""

    rounds: Mapping[str, Sequence[float]] = Factory(dict)

    def __contains__(self, name: str) -> bool:
        return name in self.rounds

    def of(self, name: str) -> float:
        """The median."""
        return median(self.rounds[name])

    def ratio(self, name: str, to: str) -> float:
        """How many times as much as the other: the median of the ratios pair by pair."""
        return median(one / other for one, other in zip(self.rounds[name], self.rounds[to], strict=True))

    def difference(self, name: str, to: str) -> float:
        """How much more than the other, in seconds: the median of the differences pair by pair."""
        return median(one - other for one, other in zip(self.rounds[name], self.rounds[to], strict=True))

    def only(self, *names: str) -> Costs:
        """Those of some contestants."""
        return Costs({name: self.rounds[name] for name in names})


def interleave(measures: Mapping[str, Callable[[], float]], plan: Plan, *, warm_up: bool = True) -> Costs:
    """Take turns; the first round warms up and does not count."""
    rounds: dict[str, list[float]] = {name: [] for name in measures}
    warming = warm_up and not plan.quick
    for count in range(plan.rounds + warming):
        for name, measure in measures.items():
            cost = measure()
            if plan.quick:
                print(f"  ok {name}", flush=True)
            if count or not warming:
                rounds[name].append(cost)
    return Costs(rounds)


def race(contestants: Sequence[Contestant], plan: Plan, *, units: int, **arguments: Any) -> Costs:
    """Let contestants take turns at the same work of `units` units, each in a process of its own."""

    def turn(name: str, worker: Worker) -> float:
        return checked(name, worker.measure(**arguments), units).cost

    with ExitStack() as stack:
        workers = {one.name: stack.enter_context(Worker(one)) for one in plan.present(contestants)}
        return interleave({name: partial(turn, name, worker) for name, worker in workers.items()}, plan)


def checked(name: str, sample: Sample, units: int) -> Sample:
    """The sample. Raises `BenchmarkFailed` where a contestant has lost a part of its work."""
    if sample.units != units:
        raise BenchmarkFailed(f"{name} dealt with {sample.units} of {units}")
    return sample
