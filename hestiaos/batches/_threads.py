"""A batch over a synchronous client, which makes calls in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from inspect import isawaitable
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Generic, Self, TypeVar

from hestiaos.batches._failures import BatchFailure
from hestiaos.batches._interruptible import Latch, Thread
from hestiaos.batches._results import BatchResult, next_result
from hestiaos.batches._schedule import Schedule, Work
from hestiaos_proto import HestiaError

__all__ = ["Batch"]

T = TypeVar("T")
R = TypeVar("R")

_MOMENT = 0.5  # seconds


class _Workers(Generic[T, R]):
    """The threads of a batch. They do not refer to its iterator, so that garbage-collecting it ends them."""

    def __init__(self, call: Callable[..., R], schedule: Schedule[T, R], key: Callable[[int, T], str]) -> None:
        self.lock = Lock()  # around each step of the schedule
        self.news: SimpleQueue[None] = SimpleQueue()
        """Wakes the reader when a call has ended."""
        self._call = call
        self._schedule = schedule
        self._key = key
        self._threads: list[Thread] = []
        self._stopped = False
        self._ending = Latch()

    def add(self, input: T) -> None:
        """Add an input, and start another thread if there may be one more."""
        with self.lock:
            another = self._schedule.add(input)
        if another:
            thread = Thread(self._work)
            self._threads = [*(each for each in self._threads if each.is_alive() or not each.ended), thread]
            thread.begin()

    def drain(self) -> None:
        """Send nothing more. Does not use a lock, so that a signal handler can call it."""
        self._ending.set()
        self.news.put(None)  # the reader may be waiting

    def stop(self) -> None:
        """Send nothing more, and discard results. Does not use a lock, so that a finalizer can call it."""
        self._stopped = True
        self.drain()

    def wait_for_news(self) -> None:
        """Wait until a call has ended, or a moment.

        A signal that comes as the wait begins does not end it, on Windows none does: its handler runs afterwards.
        """
        with suppress(Empty):
            self.news.get(timeout=_MOMENT)

    def join(self) -> None:
        """Wait for the threads, and hence for the calls in progress."""
        for thread in self._threads:
            thread.wait()

    def check_open(self) -> None:
        """End the schedule if it was stopped or drained. The caller holds the lock."""
        if self._stopped:
            self._schedule.stop()
        elif self._ending.is_set:
            self._schedule.drain()

    def _work(self) -> None:
        while True:
            with self.lock:
                self.check_open()
                work = self._schedule.take_up()
            if work is None:
                return
            while self._may_send(work) and self._send(work):
                self.news.put(None)
            self.news.put(None)

    def _may_send(self, work: Work[T]) -> bool:
        """Wait until work may be sent. Return False if it is not sent at all."""
        while True:
            with self.lock:
                self.check_open()
                seconds = self._schedule.wait(work, monotonic())
            if not seconds:
                return seconds is not None
            self._ending.wait(seconds)

    def _send(self, work: Work[T]) -> bool:
        """Make the call. Return whether it is repeated."""
        try:
            result = self._call(work.input, retries=0, idempotency_key=self._key(work.number, work.input))
            if isawaitable(result):
                getattr(result, "close", bool)()  # a coroutine that is never awaited warns
                raise TypeError("a call that returns an awaitable must be an async function")
        except BaseException as error:  # `SystemExit` too; the reader raises it
            with self.lock:
                self.check_open()
                return self._schedule.fail(work, error, monotonic())
        with self.lock:
            self._schedule.succeed(work, result)
        return False


class Batch(Generic[T, R]):
    """The results of many inputs: an iterator, and a context manager that ends the batch.

    The inputs are read in the thread that iterates, while there is room. After `close`, leaving the `with` block,
    Ctrl-C or an error, nothing more is sent, and the calls in progress are waited for; a garbage-collected batch
    does not wait. `drain` ends the batch with the results of the calls in progress.
    """

    def __init__(
        self,
        call: Callable[..., R],
        inputs: Iterable[T],
        schedule: Schedule[T, R],
        key: Callable[[int, T], str],
        *,
        raise_errors: bool,
        on_failure: Callable[[BatchFailure[T]], object],
    ) -> None:
        self._inputs: Iterator[T] = iter(inputs)
        self._schedule = schedule
        self._raise_errors = raise_errors
        self._on_failure = on_failure
        self._workers = _Workers(call, schedule, key)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> BatchResult[T, R]:
        try:
            while True:
                more = self._read()
                while not self._workers.news.empty():
                    self._workers.news.get()
                with self._workers.lock:
                    self._workers.check_open()
                    news = self._schedule.take_failure() or next_result(
                        self._schedule, StopIteration, raise_errors=self._raise_errors
                    )
                if isinstance(news, BatchFailure):
                    self._on_failure(news)
                elif news is not None:
                    return news
                elif not more:
                    self._workers.wait_for_news()
        except BaseException:  # the end, and Ctrl-C too; it is raised again
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if "_workers" in vars(self):  # otherwise the constructor has raised
            self._workers.stop()

    @property
    def given_up(self) -> HestiaError | None:
        """The refusal with which the batch was given up, the `error` of each input that was not executed then."""
        return self._schedule.given_up

    def drain(self) -> None:
        """Send nothing more. Continue to iterate for the results of the calls in progress, which are the last.

        An input whose call was not sent, or waits to be repeated, has no result. Any thread and a signal handler can
        call it.
        """
        self._workers.drain()

    def close(self) -> None:
        """Send nothing more, and wait for the calls in progress."""
        self._workers.stop()
        self._workers.join()

    def _read(self) -> bool:
        """Read an input if there is room. Return whether there may be room for another."""
        with self._workers.lock:
            self._workers.check_open()
            if not self._schedule.wants_input:
                return False
        try:
            value = next(self._inputs)
        except Exception as error:
            with self._workers.lock:
                self._schedule.exhaust(None if isinstance(error, StopIteration) else error)
        else:
            self._workers.add(value)
        return True
