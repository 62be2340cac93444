"""The schedule of a batch: every order in which its reader, its workers and the server can act, from the first step."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import product
from typing import Any

import pytest
from attrs import define, field

from hestiaos import ConnectFailed, HestiaError, InvalidInput, RateLimited
from hestiaos.batches._schedule import Schedule, Work
from tests.support.broad import BROAD
from tests.support.flows import Fixed

INPUTS = 3
PAUSE = 5.0

FAILURES: dict[str, HestiaError] = {
    "refused": RateLimited(retry_after=PAUSE),
    "refused for long": RateLimited(retry_after=1000.0),
    "not reached": ConnectFailed("nobody listens"),
    "invalid": InvalidInput(),
}


@define
class Worker:
    """A worker, and what it does next: `take up`, `wait`, `sleep` until a time, or `send`."""

    does: str = "take up"
    work: Work[str] | None = None
    until: float = 0.0


@define
class World:
    """A schedule, those who use it, and what a batch promises of them."""

    concurrency: int
    ahead: int
    ordered: bool
    retries: int
    failures: tuple[str, ...] = ()
    """What the server says instead of a result, at most once each, in any order and place."""
    may_drain: bool = False
    schedule: Schedule[str, str] = field(init=False)
    now: float = 0.0
    left: int = INPUTS
    workers: list[Worker] = field(factory=list)
    taken: list[tuple[int, str]] = field(factory=list)
    sent: list[int] = field(factory=list)
    ended: set[int] = field(factory=set)  # by a result, or a failure that is not repeated
    pause_until: float = 0.0
    stopped: bool = False
    drained: bool = False

    def __attrs_post_init__(self) -> None:
        self.schedule = Schedule(
            self.concurrency, self.ahead, ordered=self.ordered, retries=self.retries, random=Fixed(0.5)
        )

    def actions(self) -> Iterator[tuple[Any, ...]]:
        """What may happen next."""
        if self.schedule.wants_input:
            yield ("read",)
        if not self.stopped:
            yield ("take",)
            yield ("stop",)
        if self.may_drain and not self.drained:
            yield ("drain",)
        for number, worker in enumerate(self.workers):
            if worker.does == "send":
                for what in ("result", *self.failures):
                    yield "send", number, what
            elif worker.does == "sleep":
                if worker.until == min(each.until for each in self.workers if each.does == "sleep"):
                    yield "wake", number
            else:
                yield worker.does, number

    def act(self, name: str, number: int = 0, what: str = "") -> bool:
        """Let it happen. Returns whether anything did."""
        if name == "read":
            self._read()
        elif name == "take":
            return self._take()
        elif name == "stop":
            self.schedule.stop()
            self.stopped = True
        elif name == "drain":
            self.schedule.drain()
            self.drained = True
        elif name == "wake":
            worker = self.workers[number]
            self.now, worker.does = max(self.now, worker.until), "wait"
        elif name == "take up":
            self._take_up(number)
        elif name == "wait":
            self._wait(self.workers[number])
        else:
            self._answer(self.workers[number], what)
        return True

    def _read(self) -> None:
        if not self.left:
            self.schedule.exhaust()
            return
        self.left -= 1
        if self.schedule.add(f"input {INPUTS - self.left - 1}"):
            self.workers.append(Worker())
        assert len(self.workers) <= self.concurrency
        assert INPUTS - self.left - len(self.taken) <= self.concurrency + self.ahead

    def _take(self) -> bool:
        before = len(self.schedule._outcomes)
        outcome = self.schedule.take()
        if outcome is None:
            return len(self.schedule._outcomes) < before  # it has passed over what was dropped
        number = outcome.work.number
        assert outcome.work.input == f"input {number}"
        assert (outcome.result is None) is (outcome.error is not None)
        assert number not in {each for each, _ in self.taken}
        assert not self.ordered or all(each < number for each, _ in self.taken)
        assert not self.ordered or self.drained or number == len(self.taken)
        self.taken.append((number, type(outcome.error).__name__))
        return True

    def _take_up(self, number: int) -> None:
        worker = self.workers[number]
        worker.work = self.schedule.take_up()
        if worker.work is None:
            del self.workers[number]
        else:
            worker.does = "wait"

    def _wait(self, worker: Worker) -> None:
        assert worker.work is not None
        seconds = self.schedule.wait(worker.work, self.now)
        if seconds is None:
            assert self.stopped or self.drained or self.schedule.fault is not None
            worker.does = "take up"
        elif seconds > 0:
            worker.does, worker.until = "sleep", self.now + seconds
        else:
            assert self.now >= self.pause_until, "nothing is sent while all are to wait"
            assert not self.stopped, "nothing is sent after the end"
            assert not self.drained, "nothing is sent after a drain"
            worker.does = "send"
            self.sent.append(worker.work.number)

    def _answer(self, worker: Worker, what: str) -> None:
        assert worker.work is not None
        if what == "result":
            self.schedule.succeed(worker.work, "done")
            worker.does = "take up"
            self.ended.add(worker.work.number)
            return
        self.failures = tuple(each for each in self.failures if each != what)
        repeated = self.schedule.fail(worker.work, FAILURES[what], self.now)
        assert not (repeated and what in ("invalid", "refused for long"))
        failure = self.schedule.take_failure()
        if repeated and (self.stopped or self.drained):
            assert failure is None, "it will not be repeated"
        else:
            assert failure is not None
            assert (failure.number, failure.error) == (worker.work.number, FAILURES[what])
            assert (failure.seconds is not None, failure.pauses_all) == (repeated, what.startswith("refused"))
        if not repeated:
            self.ended.add(worker.work.number)
        if repeated and what == "refused":
            self.pause_until = self.now + PAUSE
        worker.does = "wait" if repeated else "take up"

    def check_end(self) -> None:
        """Nothing can happen any more: it is all over, and each input has come to an end."""
        assert self.workers == []
        assert self.schedule.over
        taken = {number for number, _ in self.taken}
        if self.drained and not self.stopped and self.schedule.fault is None:
            assert taken == self.ended
        elif not self.stopped:
            assert taken == set(range(INPUTS - self.left))
            assert self.left == 0 or self.schedule.fault is not None

    @property
    def state(self) -> str:
        """What tells two of them apart; times count from now, and far ones in the past do not matter."""
        hidden = {name: value for name, value in vars(self.schedule).items() if name not in ("_random", "_outcomes")}
        shown = [
            sorted(hidden.items(), key=str),
            [(number, str(each.error)) for number, each in self.schedule._outcomes.items()],
            [(each.does, each.until, each.work) for each in self.workers],
            [self.now, self.left, self.taken, self.failures, self.pause_until, self.stopped, self.drained, self.ended],
        ]
        return repr(shown)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "as they come"])
@pytest.mark.parametrize(
    ("concurrency", "ahead", "retries", "failures"),
    [
        *product([1], [0], [1], [("refused",), ("not reached",)]),
        pytest.param(2, 0, 1, ("refused",), marks=BROAD),
        pytest.param(2, 0, 1, ("not reached",), marks=pytest.mark.thorough),
        (1, 1, 1, ("refused", "refused for long")),
        (2, 1, 0, ("refused",)),
        *(pytest.param(2, 1, 1, each, marks=pytest.mark.thorough) for each in [("refused", "not reached")]),
        pytest.param(3, 0, 1, ("refused",), marks=pytest.mark.thorough),
    ],
)
def test_every_order_of_events(
    concurrency: int, ahead: int, retries: int, failures: tuple[str, ...], ordered: bool
) -> None:
    """No limit is passed, nothing is sent in a pause or after the end, each input ends once, and nobody waits for ever.

    More refusals than `retries`, one after another, give the batch up.
    """
    ends = explore(World(concurrency, ahead, ordered, retries, failures))
    given_up = sum(each.schedule.fault is not None for each in ends)
    assert (given_up > 0) is (sum(each.startswith("refused") for each in failures) > retries)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "as they come"])
@pytest.mark.parametrize(
    ("concurrency", "ahead", "retries", "failures"),
    [
        (1, 1, 0, ("refused", "invalid")),
        pytest.param(2, 0, 1, ("refused",), marks=BROAD),
        pytest.param(2, 1, 1, ("refused",), marks=pytest.mark.thorough),
    ],
)
def test_every_order_of_events_around_a_drain(
    concurrency: int, ahead: int, retries: int, failures: tuple[str, ...], ordered: bool
) -> None:
    """What was under way has its results, in order where that is wanted; nothing else is sent, and nobody waits."""
    ends = explore(World(concurrency, ahead, ordered, retries, failures, may_drain=True))
    assert any(each.drained and 0 < len(each.taken) < len(each.sent) for each in ends)


def explore(world: World) -> list[World]:
    """Take every path to its end, and check it there. Returns the ends."""
    shared = {id(error): error for error in FAILURES.values()}
    seen: set[str] = set()
    ends = []
    paths = [world]
    while paths:
        world = paths.pop()
        moved = False
        for action in world.actions():
            after = deepcopy(world, dict(shared))
            if not after.act(*action):
                continue
            moved = moved or action not in (("stop",), ("drain",))
            if (state := after.state) not in seen:
                seen.add(state)
                paths.append(after)
        if not moved:
            ends.append(world)
            world.check_end()
    assert len(ends) > 10
    return ends


def test_a_round_of_refusals_counts_once() -> None:
    """Requests that were on their way together are refused in one round, however many they are."""
    schedule: Schedule[str, str] = Schedule(8, 0, ordered=True, retries=1, random=Fixed(0.5))
    for number in range(8):
        schedule.add(str(number))
    works = [work for _ in range(8) if (work := schedule.take_up()) is not None]
    assert [schedule.wait(work, 0.0) for work in works] == [0.0] * 8
    assert all(schedule.fail(work, FAILURES["refused"], 0.1) for work in works)
    assert {schedule.wait(work, 0.1) for work in works} == {PAUSE}
    assert [schedule.wait(work, 5.1) for work in works] == [0.0] * 8
    assert not schedule.fail(works[0], FAILURES["refused"], 5.2)
    assert schedule.fault is FAILURES["refused"]
    assert schedule.wait(works[1], 5.3) is None


def test_what_is_accepted_in_between_begins_a_new_count() -> None:
    schedule: Schedule[str, str] = Schedule(2, 0, ordered=True, retries=1, random=Fixed(0.5))
    for number in range(2):
        schedule.add(str(number))
    works = [work for _ in range(2) if (work := schedule.take_up()) is not None]
    now = 0.0
    for _ in range(20):
        assert schedule.wait(works[0], now) == 0.0
        assert schedule.fail(works[0], FAILURES["refused"], now)
        schedule.succeed(works[1], "done")
        now += PAUSE
    assert schedule.fault is None


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    schedule: Schedule[str, str] = Schedule(2, 0, ordered=True, retries=1, random=Fixed(0.5))
    for number in range(2):
        schedule.add(str(number))
    works = [work for _ in range(2) if (work := schedule.take_up()) is not None]
    assert [schedule.wait(work, 0.0) for work in works] == [0.0, 0.0]
    assert schedule.fail(works[0], FAILURES["refused"], 10.0)
    assert schedule.fail(works[1], RateLimited(retry_after=1.0), 10.0)
    assert {schedule.wait(work, 10.0) for work in works} == {PAUSE}
