"""Enforce the timeout of an execution."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing

from hestiaos_local.execution._outputs import Output
from hestiaos_proto import ServerError

__all__ = ["execution_timed_out", "in_time", "in_time_sync"]


async def in_time(outputs: AsyncGenerator[Output, None], seconds: float | None) -> AsyncGenerator[Output, None]:
    """Yield the outputs. After the timeout in seconds, cancel their source and raise `ServerError` (504)."""
    from anyio import CancelScope, current_time

    async with aclosing(outputs):
        if seconds is None:
            async for output in outputs:
                yield output
            return
        deadline = current_time() + seconds
        while True:
            next_output: Output | None = None
            with CancelScope(deadline=deadline) as scope:  # for each output, as a scope must not be open at a yield
                next_output = await anext(outputs, None)
            if scope.cancelled_caught:
                raise execution_timed_out(seconds)
            if next_output is None:
                return
            yield next_output


def in_time_sync(
    outputs: Generator[Output, None, None], seconds: float | None, clock: Callable[[], float] = time.monotonic
) -> Generator[Output, None, None]:
    """Yield like `in_time`. The timeout is checked only between outputs, as a generator cannot be interrupted."""
    with closing(outputs):
        deadline = None if seconds is None else clock() + seconds
        for output in outputs:
            if deadline is not None and clock() > deadline:
                raise execution_timed_out(seconds)
            yield output


def execution_timed_out(seconds: float | None) -> ServerError:
    """Return the exception for an execution that exceeds its timeout in seconds."""
    return ServerError(
        f"the execution took longer than its timeout of {seconds:g} s", status_code=504, code="TIMED_OUT"
    )
