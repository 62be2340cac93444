"""Run an executor within a timeout, and complete its outputs by usage and finish."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing

from hestiaos_local.execution._executors import Executor, keeps_max_tokens, outputs_in_time
from hestiaos_local.execution._outputs import Output
from hestiaos_local.execution._timeouts import in_time_sync
from hestiaos_local.execution._usage import OutputCounter
from hestiaos_local.execution._work import Work

__all__ = ["run_executor", "run_executor_sync"]


async def run_executor(executor: Executor, work: Work) -> AsyncGenerator[Output, None]:
    """Yield the outputs of `executor` for `work`: texts and tool calls, then exactly one `Usage` and one `Finish`.

    If the executor does not enforce `work.max_tokens` itself, its output is cut by an estimate.

    To stop early, close the generator (`contextlib.aclosing`), which cancels the work. Raises a `StatusError` if the
    work fails, a `ServerError` (504) after `work.timeout`.
    """
    counter = OutputCounter(work, cut=not keeps_max_tokens(executor))
    async with aclosing(outputs_in_time(executor, work)) as outputs:
        async for output in outputs:
            for each in counter.send(output):
                yield each
            if counter.finished:
                return
    for each in counter.end():
        yield each


def run_executor_sync(executor: Executor, work: Work) -> Generator[Output, None, None]:
    """Yield the same outputs without an event loop."""
    counter = OutputCounter(work, cut=not keeps_max_tokens(executor))
    with closing(in_time_sync(executor.execute_sync(work), work.timeout)) as outputs:
        for output in outputs:
            yield from counter.send(output)
            if counter.finished:
                return
    yield from counter.end()
