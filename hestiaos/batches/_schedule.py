"""The decisions of a batch, without I/O, clock, or lock: what may begin, what waits, which result is next.

Each worker, a thread or a task, takes work, waits as long as necessary, makes the call, and reports its end, until
there is no work. The reader of the results adds inputs while there is room, and takes failures and results.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Generic, TypeVar

from attrs import define

from hestiaos.batches._failures import BatchFailure
from hestiaos_proto import HestiaError, RandomSource, StatusError, pause_before_repeat

__all__ = ["Outcome", "Schedule", "Work"]

T = TypeVar("T")
R = TypeVar("R")

_REFUSED = (429, 503)  # statuses that other calls would get too


@define(eq=False)
class Work(Generic[T]):
    """An input that was read. `repeats` excludes those requested by the server. All times are of one clock."""

    number: int
    input: T
    repeats: int = 0
    due: float = -inf
    sent: float = -inf


@define(eq=False)
class Outcome(Generic[T, R]):
    """The outcome of an input. `dropped` if it was not executed, and has no result."""

    work: Work[T]
    result: R | None = None
    error: BaseException | None = None
    dropped: bool = False


class Schedule(Generic[T, R]):
    """Schedules inputs: at most `concurrency` are in progress, and at most `ahead` more are read before their results
    are taken.

    With `ordered`, results are taken in the order of the inputs, else in the order of completion. Failed calls are
    repeated by the core's rule, up to `retries` times. After a refusal (429, 503), all wait as long as the server
    requests. Refusals of requests sent together count as one round. After more than `retries` rounds in a row, with
    nothing accepted in between, the batch is given up: the refusal is the outcome of all inputs that were read.
    """

    def __init__(self, concurrency: int, ahead: int, *, ordered: bool, retries: int, random: RandomSource) -> None:
        self.given_up: HestiaError | None = None
        """The refusal with which the batch was given up, the outcome of each input that was not executed."""
        self._stopped = self._draining = False
        self._unreadable: Exception | None = None
        self._concurrency = concurrency
        self._room = concurrency + ahead
        self._ordered = ordered
        self._retries = retries
        self._random = random
        self._waiting: deque[Work[T]] = deque()  # read, and not taken by a worker
        self._outcomes: dict[int, Outcome[T, R]] = {}  # by number, in the order of completion
        self._failures: deque[BatchFailure[T]] = deque()  # those that the reader has not taken
        self._workers = 0
        self._read = self._taken = 0
        self._exhausted = False
        self._rounds = 0
        self._refused = -inf  # when the latest round began
        self._until = -inf  # when calls may be sent again

    # For the reader of the results.

    @property
    def fault(self) -> Exception | None:
        """The exception that ended the batch early, or `None`."""
        return None if self._stopped else self.given_up or self._unreadable

    @property
    def wants_input(self) -> bool:
        """Whether there is room for another input."""
        return not self._closed and self._read - self._taken < self._room

    @property
    def over(self) -> bool:
        """Whether there will be no more results. `fault` is the reason if something failed."""
        return self._stopped or (self._closed and self._taken == self._read)

    def add(self, input: T) -> bool:
        """Add an input. Return whether to start another worker."""
        self._waiting.append(Work(self._read, input))
        self._read += 1
        if self._workers == self._concurrency:
            return False
        self._workers += 1
        return True

    def exhaust(self, error: Exception | None = None) -> None:
        """Record that there are no more inputs, or that reading them failed."""
        self._exhausted = True
        self._unreadable = error

    def take(self) -> Outcome[T, R] | None:
        """Return the next outcome, or `None` if it is not available yet."""
        while True:
            number = self._taken if self._ordered else next(iter(self._outcomes), -1)
            outcome = self._outcomes.pop(number, None)
            if outcome is None:
                return None
            self._taken += 1
            if not outcome.dropped:
                return outcome

    def take_failure(self) -> BatchFailure[T] | None:
        """Return the next failed call, or `None` if all were taken."""
        return self._failures.popleft() if self._failures else None

    def drain(self) -> None:
        """Send nothing more. Calls in progress have results; those not sent, or waiting for a repeat, have none."""
        self._draining = True
        while self._waiting:
            self._keep(Outcome(self._waiting.popleft(), dropped=True))

    def stop(self) -> None:
        """Send nothing more, and discard the results of calls in progress."""
        self._stopped = True
        self._waiting.clear()
        self._outcomes.clear()
        self._failures.clear()

    # For the workers.

    def take_up(self) -> Work[T] | None:
        """Return the next work for a worker, or `None` to end it."""
        if self._waiting:
            return self._waiting.popleft()
        self._workers -= 1
        return None

    def wait(self, work: Work[T], now: float) -> float | None:
        """Return the seconds until work may be sent, 0 if now, or `None` if not at all."""
        if self._sends_nothing:
            self._keep(Outcome(work, error=self.given_up, dropped=self.given_up is None))
            return None
        seconds = max(self._until, work.due) - now
        if seconds > 0:
            return seconds
        work.sent = now
        return 0.0

    def succeed(self, work: Work[T], result: R) -> None:
        """Record a result."""
        self._rounds = 0
        self._keep(Outcome(work, result))

    def fail(self, work: Work[T], error: BaseException, now: float) -> bool:
        """Record a failure. Return whether the call is repeated, after another `wait`."""
        refusal = error if isinstance(error, StatusError) and error.status_code in _REFUSED else None
        seconds = self._delay(work, error, now) if refusal is None else self._refuse(work, refusal, now)
        if isinstance(error, HestiaError) and (seconds is None or not self._sends_nothing):
            self._failures.append(BatchFailure(work.number, work.input, error, seconds, refusal is not None))
        if seconds is None:
            self._keep(Outcome(work, error=error if refusal is None else self.given_up or error))
        return seconds is not None

    @property
    def _closed(self) -> bool:
        return self._exhausted or self._sends_nothing

    @property
    def _sends_nothing(self) -> bool:
        return self._stopped or self._draining or self.given_up is not None

    def _delay(self, work: Work[T], error: BaseException, now: float) -> float | None:
        """Return the seconds until a failed call is repeated, or `None`. Only this call waits."""
        if isinstance(error, StatusError):
            self._rounds = 0
        seconds = self._pause(error, work.repeats) if work.repeats < self._retries else None
        if seconds is not None:
            work.repeats += 1
            work.due = now + seconds
        return seconds

    def _refuse(self, work: Work[T], error: HestiaError, now: float) -> float | None:
        """Return the seconds until a refused call is repeated, or `None`. All calls wait."""
        if work.sent >= self._refused:
            self._rounds += 1
            self._refused = now
        if self._rounds > self._retries and not self._sends_nothing:
            self.given_up = error
            while self._waiting:
                self._keep(Outcome(self._waiting.popleft(), error=error))
        seconds = self._pause(error, self._rounds - 1)
        if seconds is None or self.given_up is not None:  # if the wait is too long, the others do not wait
            return None
        self._until = max(self._until, now + seconds)
        return seconds

    def _pause(self, error: BaseException, repeats: int) -> float | None:
        if not isinstance(error, HestiaError):
            return None
        return pause_before_repeat(error, safe=False, keyed=True, repeats=repeats, random=self._random)

    def _keep(self, outcome: Outcome[T, R]) -> None:
        if not self._stopped:
            self._outcomes[outcome.work.number] = outcome
