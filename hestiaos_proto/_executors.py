"""The interface of executors, which carry out operations, and the bases of the classes whose methods call them.

Such a class exists twice: `AsyncChat` has only coroutines, for a client without other methods, and `Chat` has both
kinds. Each method takes `CallOptions` by keyword, for that call alone, and raises `HestiaError`. A synchronous method
and its coroutine have one docstring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from hestiaos_proto._call_options import CallOptions
from hestiaos_proto._other_kind import CoroutinesOnly
from hestiaos_proto.operations import Operation

__all__ = ["AsyncExecutor", "AsyncNamespace", "Executor", "Namespace", "documented_as"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def documented_as(coroutine: Callable[..., Any]) -> Callable[[F], F]:
    """Give a synchronous method the docstring of its coroutine."""

    def document(method: F) -> F:
        method.__doc__ = coroutine.__doc__
        return method

    return document


class AsyncExecutor(Protocol):
    """Carries out operations for coroutines."""

    async def execute_async(self, operation: Operation[T], options: CallOptions, /) -> T:
        """Carry out `operation`. Raises `HestiaError`, and `ValueError` or `TypeError` for wrong options."""
        ...


class Executor(AsyncExecutor, Protocol):
    """Carries out operations for threads and for coroutines."""

    def execute(self, operation: Operation[T], options: CallOptions, /) -> T:
        """Execute an operation. Raises `HestiaError`."""
        ...


class AsyncNamespace(CoroutinesOnly):
    """Methods over an executor, as coroutines."""

    def __init__(self, executor: AsyncExecutor) -> None:
        self._execute_async = executor.execute_async

    def __repr__(self) -> str:
        execute = vars(self).get("_execute_async")  # not there while the constructor runs
        return f"<{type(self).__name__} of {getattr(execute, '__self__', None)!r}>"


class Namespace(AsyncNamespace):
    """Methods over an executor, of both kinds."""

    def __init__(self, executor: Executor) -> None:
        super().__init__(executor)
        self._execute = executor.execute
