"""A batch over a synchronous client: its calls are made in threads."""

from __future__ import annotations

import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from inspect import isawaitable
from queue import SimpleQueue
from time import monotonic, sleep
from types import TracebackType
from typing import Generic, Self, TypeVar

from hestiaos.batches._results import BatchResult, next_result
from hestiaos.batches._schedule import Schedule, Work

__all__ = ["Batch"]

T = TypeVar("T")
R = TypeVar("R")


class _Thread(threading.Thread):
    """A worker, which Ctrl-C disturbs neither at its start nor at its end.

    `Thread.start` waits for an Event, whose lock Ctrl-C can take away for ever; only the main thread gets it, so that
    another one starts this.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(name="hestiaos batch", daemon=True)
        self.ended = False
        context = copy_context()
        self._work: Callable[[], None] = lambda: context.run(work)
        self._begun = False
        self._running = threading.Lock()

    def begin(self) -> None:
        """Start it, one step that is done or not done."""
        start_new_thread(self._start, ())

    def run(self) -> None:
        with self._running:
            self._begun = True
            try:
                self._work()
            finally:
                self.ended = True

    def wait(self) -> None:
        """Wait for its end."""
        for _ in range(1000):  # Ctrl-C came before its start, or it is being started, and has nothing to do
            if self._begun:
                break
            sleep(0.001)
        with self._running:
            pass
        if self.is_alive():
            self.join()

    def _start(self) -> None:
        try:
            self.start()
        except RuntimeError:  # the system has no more threads: the one that it had does the work
            self.run()


class _Workers(Generic[T, R]):
    """The threads of a batch. They do not know its iterator, so that a dropped one ends them."""

    def __init__(self, call: Callable[..., R], schedule: Schedule[T, R], key: Callable[[int, T], str]) -> None:
        self.lock = threading.Lock()  # around each step of the schedule
        self.news: SimpleQueue[None] = SimpleQueue()
        """Something has come of an input."""
        self._call = call
        self._schedule = schedule
        self._key = key
        self._threads: list[_Thread] = []
        # An Event, which is a Condition, can lose its lock to Ctrl-C.
        self._closed = threading.Lock()
        self._closed.acquire()
        self._open = [True]

    def add(self, input: T) -> None:
        """Have an input executed, by another thread if there may be one more."""
        with self.lock:
            another = self._schedule.add(input)
        if another:
            thread = _Thread(self._work)
            self._threads = [*(each for each in self._threads if each.is_alive() or not each.ended), thread]
            thread.begin()

    def stop(self) -> None:
        """Have nothing more sent. It takes no lock, so that a finalizer can call it."""
        try:
            self._open.pop()  # atomic: one caller goes on
        except IndexError:
            return
        self._closed.release()
        self.news.put(None)  # a reader in another thread may wait

    def join(self) -> None:
        """Wait for the threads, and so for the calls that are under way."""
        for thread in self._threads:
            thread.wait()

    def check_open(self) -> None:
        """End the schedule, where it was stopped; called with the lock."""
        if not self._open:
            self._schedule.stop()

    def _work(self) -> None:
        while True:
            with self.lock:
                self.check_open()
                work = self._schedule.take_up()
            if work is None:
                return
            while self._may_send(work) and self._send(work):
                pass
            self.news.put(None)

    def _may_send(self, work: Work[T]) -> bool:
        """Wait until it may be sent. Returns false if it is not sent at all."""
        while True:
            with self.lock:
                self.check_open()
                seconds = self._schedule.wait(work, monotonic())
            if not seconds:
                return seconds is not None
            if self._closed.acquire(timeout=seconds):
                self._closed.release()

    def _send(self, work: Work[T]) -> bool:
        """Make the call. Returns whether it is repeated."""
        try:
            result = self._call(work.input, retries=0, idempotency_key=self._key(work.number, work.input))
            if isawaitable(result):
                getattr(result, "close", bool)()  # a coroutine that nobody awaits warns
                raise TypeError("a call that returns something to await must be an async function")
        except BaseException as error:  # `SystemExit` too; the reader raises it
            with self.lock:
                return self._schedule.fail(work, error, monotonic())
        with self.lock:
            self._schedule.succeed(work, result)
        return False


class Batch(Generic[T, R]):
    """The results of many inputs, one by one: an iterator, and a context manager that ends the batch.

    The inputs are read in the thread that iterates, as there is room. `close`, leaving the `with` block, Ctrl-C and an
    error send nothing more, and wait for the calls that are under way; a batch that is dropped does not wait.
    """

    def __init__(
        self,
        call: Callable[..., R],
        inputs: Iterable[T],
        schedule: Schedule[T, R],
        key: Callable[[int, T], str],
        *,
        raise_errors: bool,
    ) -> None:
        self._inputs: Iterator[T] = iter(inputs)
        self._schedule = schedule
        self._raise_errors = raise_errors
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
                    result = next_result(self._schedule, StopIteration, raise_errors=self._raise_errors)
                if result is not None:
                    return result
                if not more:
                    self._workers.news.get()
        except BaseException:  # the end, and Ctrl-C too; it is raised again
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if "_workers" in vars(self):  # not where the constructor has raised
            self._workers.stop()

    def close(self) -> None:
        """End the batch: nothing more is sent, and the calls that are under way are waited for."""
        self._workers.stop()
        self._workers.join()

    def _read(self) -> bool:
        """Read an input, where there is room. Returns whether there may be room for another."""
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
