"""One execution: an executor's outputs within their timeout, ended by usage and finish."""

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
    """The outputs of `executor` for `work`: texts and tool calls, then always one `Usage` and one `Finish`.

    If it does not enforce `work.max_tokens` itself, its output is cut by an estimate.

    Close it (`contextlib.aclosing`) where it is left early: that cancels the work. Raises the `StatusError` of what
    went wrong, a `ServerError` (504) where `work.timeout` has passed.
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
    """The same for a caller without an event loop."""
    counter = OutputCounter(work, cut=not keeps_max_tokens(executor))
    with closing(in_time_sync(executor.execute_sync(work), work.timeout)) as outputs:
        for output in outputs:
            yield from counter.send(output)
            if counter.finished:
                return
    yield from counter.end()
