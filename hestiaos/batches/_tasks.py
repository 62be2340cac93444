"""A batch over an asynchronous client, which makes calls in tasks."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Generic, Self, TypeVar

from hestiaos.batches._failures import BatchFailure
from hestiaos.batches._loops import Tasks, new_tasks
from hestiaos.batches._results import BatchResult, next_result
from hestiaos.batches._schedule import Schedule, Work
from hestiaos_proto import HestiaError, LocalProtocolError

__all__ = ["AsyncBatch"]

T = TypeVar("T")
R = TypeVar("R")


class AsyncBatch(Generic[T, R]):
    """The results of many inputs: an asynchronous iterator inside its own `async with` block.

    The inputs are read in the task that iterates, while there is room. The calls are made in tasks of the block, on
    asyncio and on trio. `aclose`, leaving the block, a cancellation and an error cancel those in progress.
    `drain` waits for their results instead.
    """

    def __init__(
        self,
        call: Callable[..., Awaitable[R]],
        inputs: Iterable[T] | AsyncIterable[T],
        schedule: Schedule[T, R],
        key: Callable[[int, T], str],
        *,
        raise_errors: bool,
        on_failure: Callable[[BatchFailure[T]], object],
    ) -> None:
        self._inputs: Iterator[T] | AsyncIterator[T] = (
            aiter(inputs) if isinstance(inputs, AsyncIterable) else iter(inputs)
        )
        self._call = call
        self._schedule = schedule
        self._key = key
        self._raise_errors = raise_errors
        self._on_failure = on_failure
        self._tasks: Tasks | None = None

    async def __aenter__(self) -> Self:
        if self._tasks is not None or self._schedule.over:
            raise LocalProtocolError("a batch can be entered only once: create another one")
        tasks = new_tasks()
        await tasks.enter()
        self._tasks = tasks
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._schedule.stop()
        tasks, self._tasks = self._tasks, None
        assert tasks is not None, "the batch was entered"
        await tasks.leave()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BatchResult[T, R]:
        try:
            while True:
                more = await self._read()
                news = self._schedule.take_failure() or next_result(
                    self._schedule, StopAsyncIteration, raise_errors=self._raise_errors
                )
                if isinstance(news, BatchFailure):
                    self._on_failure(news)
                elif news is not None:
                    return news
                elif not more:
                    assert self._tasks is not None, "the batch was entered"
                    await self._tasks.wait_for_news()
        except BaseException:  # the end, and a cancellation too; it is raised again
            self._stop()
            raise

    @property
    def given_up(self) -> HestiaError | None:
        """The refusal with which the batch was given up, the `error` of each input that was not executed then."""
        return self._schedule.given_up

    def drain(self) -> None:
        """Send nothing more. Continue to iterate for the results of the calls in progress, which are the last.

        An input whose call was not sent, or waits to be repeated, has no result. Call this in the event loop's thread.
        """
        self._schedule.drain()
        if self._tasks is not None:
            self._tasks.end_pauses()
            self._tasks.wake()

    async def aclose(self) -> None:
        """Cancel the calls in progress. The end of the block waits for them."""
        self._stop()

    def _stop(self) -> None:
        self._schedule.stop()
        if self._tasks is not None:
            self._tasks.cancel()
            self._tasks.wake()

    async def _read(self) -> bool:
        """Read an input if there is room. Return whether there may be room for another."""
        if not self._schedule.wants_input:
            return False
        if self._tasks is None:
            raise LocalProtocolError("write `async with batch(…) as results:`, and iterate in that block")
        try:
            value = await anext(self._inputs) if isinstance(self._inputs, AsyncIterator) else next(self._inputs)
        except Exception as error:
            ended = isinstance(error, StopIteration | StopAsyncIteration)
            self._schedule.exhaust(None if ended else error)
        else:
            if self._schedule.add(value):
                self._tasks.start(partial(self._work, self._tasks))
        return True

    async def _work(self, tasks: Tasks) -> None:
        while (work := self._schedule.take_up()) is not None:
            try:
                while await self._may_send(work, tasks) and await self._send(work):
                    tasks.wake()
            finally:
                tasks.wake()

    async def _may_send(self, work: Work[T], tasks: Tasks) -> bool:
        """Wait until work may be sent. Return False if it is not sent at all."""
        while seconds := self._schedule.wait(work, monotonic()):
            await tasks.pause(seconds)
        return seconds is not None

    async def _send(self, work: Work[T]) -> bool:
        """Make the call. Return whether it is repeated."""
        try:
            result = await self._call(work.input, retries=0, idempotency_key=self._key(work.number, work.input))
        except Exception as error:
            return self._schedule.fail(work, error, monotonic())
        except BaseException as error:  # a cancellation not by the batch must end the reader's wait
            self._schedule.fail(work, error, monotonic())
            raise
        self._schedule.succeed(work, result)
        return False
