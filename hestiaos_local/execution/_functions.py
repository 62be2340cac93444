"""Create executors from functions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable
from inspect import isasyncgenfunction, isawaitable, iscoroutinefunction
from typing import TypeAlias

from hestiaos_local.execution._executors import AsyncExecutor, Executor, SyncExecutor
from hestiaos_local.execution._outputs import Finish, Output, Text, ToolCall, Usage
from hestiaos_local.execution._work import Work

__all__ = ["ExecutorFunction", "function_executor"]

_Given: TypeAlias = str | Output
_Result: TypeAlias = _Given | Iterable[_Given]

ExecutorFunction: TypeAlias = (
    Callable[[Work], _Result]  # generators too
    | Callable[[Work], Awaitable[_Result]]
    | Callable[[Work], AsyncIterable[_Given]]
)
"""A function, generator, coroutine function or asynchronous generator. It is called with the work, and returns or
yields texts (`str`) or outputs."""


def function_executor(function: ExecutorFunction) -> Executor:
    """Create an executor that calls `function`.

    A synchronous function or generator works in a thread if the caller is on an event loop. Raises `TypeError` if it is
    not callable.
    """
    if not callable(function):
        raise TypeError(f"an executor must be callable or have execute and execute_sync, not {type(function).__name__}")
    for each in (function, type(function).__call__):  # a callable object's method may be asynchronous
        if isasyncgenfunction(each) or iscoroutinefunction(each):
            return _AsyncFunction(function)
    return _Function(function)


class _Function(SyncExecutor):
    def __init__(self, function: Callable[[Work], object]) -> None:
        self._function = function

    def execute_sync(self, work: Work) -> Generator[Output, None, None]:
        yield from _outputs(self._function(work))


class _AsyncFunction(AsyncExecutor):
    def __init__(self, function: Callable[[Work], object]) -> None:
        self._function = function

    async def execute(self, work: Work) -> AsyncGenerator[Output, None]:
        result = self._function(work)
        if isawaitable(result):
            result = await result
        if not isinstance(result, AsyncIterable):
            for output in _outputs(result):
                yield output
            return
        try:
            async for given in result:
                yield _output(given)
        finally:
            if isinstance(result, AsyncGenerator):
                await result.aclose()


def _outputs(result: object) -> Generator[Output, None, None]:
    """Yield the outputs in the result of a function."""
    if isinstance(result, (str, Output)):
        yield _output(result)
        return
    if isawaitable(result) or isinstance(result, AsyncIterable):
        raise TypeError("an executor that returns an awaitable or asynchronous iterator must be an `async def`")
    if not isinstance(result, Iterable):
        raise TypeError(f"an executor must return str or outputs, not {type(result).__name__}")
    try:
        for given in result:
            yield _output(given)
    finally:
        if isinstance(result, Generator):
            result.close()


def _output(given: object) -> Output:
    if isinstance(given, str):
        return Text(given)
    if isinstance(given, (Text, ToolCall, Usage, Finish)):
        return given
    raise TypeError(f"an executor must yield str, Text, ToolCall, Usage or Finish, not {type(given).__name__}")
