"""Drives a flow: `drive` on an event loop, `drive_sync` without one. Both give the items that the flow emits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, TypeVar

from hestiaos_local.execution import Output, run_executor, run_executor_sync
from hestiaos_local.flow._effects import Await, Begin, Call, Cancelled, Effect, Emit, Flow, Next, Stop

__all__ = ["Caller", "drive", "drive_sync", "in_thread"]

T = TypeVar("T")

Caller = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls a function in a thread, so that it may block."""


async def in_thread(function: Callable[[], T]) -> T:
    """Call `function` in a thread. What has begun there is not given up."""
    from anyio.to_thread import run_sync

    return await run_sync(function)


class _Steps:
    """The effects of a flow, one after the other: each after the first is what the flow makes of an answer."""

    def __init__(self, flow: Flow[object]) -> None:
        self._flow = flow
        self._value: object = None
        self._error: BaseException | None = None

    def next(self) -> Effect | None:
        """The next effect; `None` at the end. Raises what the flow raises."""
        error, self._error = self._error, None
        try:
            if error is None:
                return self._flow.send(self._value)
            return self._flow.throw(error)
        except StopIteration:
            return None
        finally:
            del error  # its traceback holds this frame

    def answer(self, value: object) -> None:
        """The result of the effect."""
        self._value = value

    def fail(self, error: BaseException) -> None:
        """The exception that was raised instead."""
        self._error = error

    def next_call(self) -> Call | None:
        """The next effect of a flow that is cancelled; `None` at its end."""
        try:
            while not isinstance(effect := self.next(), Call | None):
                self.fail(Cancelled())
        except Cancelled:
            return None
        return effect


async def drive(flow: Flow[object], call: Caller) -> AsyncGenerator[Any, None]:
    """What `flow` emits. Close it where it is left early: that cancels the work, and the flow is sent `Cancelled`."""
    from anyio import CancelScope

    outputs: AsyncGenerator[Output, None] | None = None
    steps = _Steps(flow)
    try:
        while (effect := steps.next()) is not None:
            answer: Any = None
            try:
                match effect:
                    case Emit(item):
                        yield item
                    case Next():
                        assert outputs is not None, "a flow begins before it waits for outputs"
                        answer = await anext(outputs, None)
                    case Call(function, long):
                        answer = await (in_thread if long else call)(function)
                    case Await(wait):
                        answer = await wait()
                    case Begin(executor, work):
                        outputs = run_executor(executor, work)
                    case Stop():
                        assert outputs is not None, "a flow begins before it stops"
                        with CancelScope(shield=True):
                            await outputs.aclose()
            except Exception as error:
                steps.fail(error)
            except BaseException:  # the caller has gone: first the work ends, then it is stored that it did
                with CancelScope(shield=True):
                    if outputs is not None:
                        await outputs.aclose()
                    await _cancel(steps, call)
                raise
            else:
                steps.answer(answer)
    finally:
        if outputs is not None:
            with CancelScope(shield=True):
                await outputs.aclose()


async def _cancel(steps: _Steps, call: Caller) -> None:
    steps.fail(Cancelled())
    while (effect := steps.next_call()) is not None:
        try:
            steps.answer(await call(effect.function))
        except Exception as error:
            steps.fail(error)


def drive_sync(flow: Flow[object]) -> Generator[Any, None, None]:
    """As `drive`, without an event loop."""
    outputs: Generator[Output, None, None] | None = None
    steps = _Steps(flow)
    try:
        while (effect := steps.next()) is not None:
            answer: Any = None
            try:
                match effect:
                    case Emit(item):
                        yield item
                    case Next():
                        assert outputs is not None, "a flow begins before it waits for outputs"
                        answer = next(outputs, None)
                    case Call(function):
                        answer = function()
                    case Await(wait):
                        answer = _await(wait)
                    case Begin(executor, work):
                        outputs = run_executor_sync(executor, work)
                    case Stop():
                        assert outputs is not None, "a flow begins before it stops"
                        outputs.close()
            except Exception as error:
                steps.fail(error)
            except BaseException:
                if outputs is not None:
                    outputs.close()
                _cancel_sync(steps)
                raise
            else:
                steps.answer(answer)
    finally:
        if outputs is not None:
            outputs.close()


def _cancel_sync(steps: _Steps) -> None:
    steps.fail(Cancelled())
    while (effect := steps.next_call()) is not None:
        try:
            steps.answer(effect.function())
        except Exception as error:
            steps.fail(error)


def _await(function: Callable[[], Awaitable[Any]]) -> Any:
    """Wait in a thread with an event loop of its own: this one may have a loop that runs."""
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:
        return portal.call(function)
