"""The steps of one execution, apart from its waits.

A flow is a generator of effects: each effect that it yields is carried out, and its result is sent back.
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
    """Call `function`, which may wait for the storage or compute for a while. It is sent what that returns.

    `long`: it computes for so long that an event loop always runs it in a thread.
    """

    function: Callable[[], Any]
    long: bool = False


class Await(NamedTuple):
    """Await what `function` gives. It is sent the result."""

    function: Callable[[], Awaitable[Any]]


class Begin(NamedTuple):
    """Have `executor` begin with `work`."""

    executor: Executor
    work: Work


class Next:
    """Wait for the executor's next output. It is sent that, or `None` at the end."""


class Stop:
    """Cancel the work: the executor is closed, and with it the request to a model server."""


class Emit(NamedTuple):
    """Yield `item` to the caller of the execution."""

    item: Any


Effect = Call | Await | Begin | Next | Stop | Emit
Flow = Generator[Effect, Any, T]


class Cancelled(BaseException):
    """Thrown into a flow whose caller has gone. After it the flow may `Call`; any other effect throws it again."""


class Disconnect(BaseException):
    """Raised by an executor, or instead of an execution: the connection ends as if the network had failed.

    For tests. To the flow it is as if the caller had gone.
    """

    def __init__(self) -> None:
        super().__init__("the platform ends the connection without a response")


def call_surely(function: Callable[[], T]) -> Flow[T]:
    """Call `function`, even if the caller goes before that has begun: `Cancelled` is then raised after it."""
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
