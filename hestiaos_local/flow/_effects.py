"""The effects of a flow.

A flow is a generator that describes the steps of an execution without doing I/O. Each effect that it yields is executed
by a driver, which sends the result back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, NamedTuple, TypeVar

from hestiaos_local.execution import Executor, Work

__all__ = [
    "Await",
    "Begin",
    "Call",
    "Cancelled",
    "Disconnect",
    "Effect",
    "Emit",
    "Flow",
    "Next",
    "Stop",
    "call_surely",
]

T = TypeVar("T")


class Call(NamedTuple):
    """Call `function`, which may wait for the storage or compute. The result is its return value.

    With `long`, an event loop always calls it in a thread, since it computes for a long time.
    """

    function: Callable[[], Any]
    long: bool = False


class Await(NamedTuple):
    """Await what `function` returns. The result is that of the awaitable."""

    function: Callable[[], Awaitable[Any]]


class Begin(NamedTuple):
    """Start `work` on `executor`."""

    executor: Executor
    work: Work


class Next:
    """Wait for the executor's next output. The result is that output, or None at the end."""


class Stop:
    """Cancel the work: close the executor's generator, and with it the request to a model server."""


class Emit(NamedTuple):
    """Yield `item` to the caller of the execution."""

    item: Any


Effect = Call | Await | Begin | Next | Stop | Emit
Flow = Generator[Effect, Any, T]


class Cancelled(BaseException):
    """Thrown into a flow whose caller has stopped. It may still `Call`; any other effect throws this again."""


class Disconnect(BaseException):
    """Raised by an executor or instead of an execution, in tests: close the connection as if the network had failed.

    To the flow, this is like a caller that has disconnected.
    """

    def __init__(self) -> None:
        super().__init__("the platform closed the connection without a response")


def call_surely(function: Callable[[], T]) -> Flow[T]:
    """Call `function` even if the caller stops before it begins. `Cancelled` is then raised afterwards."""
    begun = False

    def call() -> T:
        nonlocal begun
        begun = True
        return function()

    try:
        result: T = yield Call(call)
    except Cancelled:
        if not begun:
            yield Call(function)
        raise
    return result
