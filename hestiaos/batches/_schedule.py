"""What a batch decides, without I/O, clock, or lock: what may begin, what waits, which result is next.

Each worker, a thread or a task, takes up work, waits as long as it must, sends, and says how that ended, until there is
nothing to take up. The reader of the results adds inputs as there is room, and takes failures and results.
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

_REFUSED = (429, 503)  # what the server would say to all others too


@define(eq=False)
class Work(Generic[T]):
    """An input that was read. `repeats` counts those that were not the server's wish; times are of one clock."""

    number: int
    input: T
    repeats: int = 0
    due: float = -inf
    sent: float = -inf


@define(eq=False)
class Outcome(Generic[T, R]):
    """What came of an input; `dropped` if it was not executed, and has no result."""

    work: Work[T]
    result: R | None = None
    error: BaseException | None = None
    dropped: bool = False


class Schedule(Generic[T, R]):
    """At most `concurrency` inputs are under way, and so many and `ahead` more are read, and their results not taken.

    With `ordered`, results are taken in the order of the inputs, else as they come. What fails is repeated by the
    core's rule up to `retries` times. After a refusal (429, 503) all wait as long as the server said: requests that
    were on their way together are refused in one round, and after more than `retries` rounds in a row, with nothing
    accepted in between, the batch is given up: that refusal is what comes of all that were read.
    """

    def __init__(self, concurrency: int, ahead: int, *, ordered: bool, retries: int, random: RandomSource) -> None:
        self.given_up: HestiaError | None = None
        """The refusal with which the batch was given up: what comes of each input that was not executed then."""
        self._stopped = self._draining = False
        self._unreadable: Exception | None = None
        self._concurrency = concurrency
        self._room = concurrency + ahead
        self._ordered = ordered
        self._retries = retries
        self._random = random
        self._waiting: deque[Work[T]] = deque()  # read, and not taken up by a worker
        self._outcomes: dict[int, Outcome[T, R]] = {}  # by number, in the order in which they came
        self._failures: deque[BatchFailure[T]] = deque()  # those that the reader has not taken
        self._workers = 0
        self._read = self._taken = 0
        self._exhausted = False
        self._rounds = 0
        self._refused = -inf  # when the latest round began
        self._until = -inf  # when all may send again

    # For the reader of the results.

    @property
    def fault(self) -> Exception | None:
        """Why there are no more results, where there should be."""
        return None if self._stopped else self.given_up or self._unreadable

    @property
    def wants_input(self) -> bool:
        """Whether there is room for another input."""
        return not self._closed and self._read - self._taken < self._room

    @property
    def over(self) -> bool:
        """Whether no other result will come: `fault` says whether something went wrong."""
        return self._stopped or (self._closed and self._taken == self._read)

    def add(self, input: T) -> bool:
        """Another input. Returns whether to start another worker."""
        self._waiting.append(Work(self._read, input))
        self._read += 1
        if self._workers == self._concurrency:
            return False
        self._workers += 1
        return True

    def exhaust(self, error: Exception | None = None) -> None:
        """There are no more inputs, or to read them has failed."""
        self._exhausted = True
        self._unreadable = error

    def take(self) -> Outcome[T, R] | None:
        """The next result; `None` where it is still to come."""
        while True:
            number = self._taken if self._ordered else next(iter(self._outcomes), -1)
            outcome = self._outcomes.pop(number, None)
            if outcome is None:
                return None
            self._taken += 1
            if not outcome.dropped:
                return outcome

    def take_failure(self) -> BatchFailure[T] | None:
        """The next call that failed; `None` where all were taken."""
        return self._failures.popleft() if self._failures else None

    def drain(self) -> None:
        """Send nothing more. What is under way has its results; what was not sent, or waits for a repeat, has none."""
        self._draining = True
        while self._waiting:
            self._keep(Outcome(self._waiting.popleft(), dropped=True))

    def stop(self) -> None:
        """Send nothing more. What comes of what is under way is not kept."""
        self._stopped = True
        self._waiting.clear()
        self._outcomes.clear()
        self._failures.clear()

    # For the workers.

    def take_up(self) -> Work[T] | None:
        """What to do next; `None` is the end of the worker."""
        if self._waiting:
            return self._waiting.popleft()
        self._workers -= 1
        return None

    def wait(self, work: Work[T], now: float) -> float | None:
        """The seconds until work may be sent; 0 where it is sent now, `None` where it is not sent at all."""
        if self._sends_nothing:
            self._keep(Outcome(work, error=self.given_up, dropped=self.given_up is None))
            return None
        seconds = max(self._until, work.due) - now
        if seconds > 0:
            return seconds
        work.sent = now
        return 0.0

    def succeed(self, work: Work[T], result: R) -> None:
        """The server has answered."""
        self._rounds = 0
        self._keep(Outcome(work, result))

    def fail(self, work: Work[T], error: BaseException, now: float) -> bool:
        """It has failed. Returns whether it is repeated, after another `wait`."""
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
        """The seconds until a call that failed is repeated, and only this one waits."""
        if isinstance(error, StatusError):
            self._rounds = 0
        seconds = self._pause(error, work.repeats) if work.repeats < self._retries else None
        if seconds is not None:
            work.repeats += 1
            work.due = now + seconds
        return seconds

    def _refuse(self, work: Work[T], error: HestiaError, now: float) -> float | None:
        """The seconds until a call that was refused is repeated, and all wait."""
        if work.sent >= self._refused:
            self._rounds += 1
            self._refused = now
        if self._rounds > self._retries and not self._sends_nothing:
            self.given_up = error
            while self._waiting:
                self._keep(Outcome(self._waiting.popleft(), error=error))
        seconds = self._pause(error, self._rounds - 1)
        if seconds is None or self.given_up is not None:  # too long a wait is no reason for the others to wait
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
