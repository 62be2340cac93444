"""Drive a flow with `drive` on an event loop, or with `drive_sync`. Both yield the items that the flow emits."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Any, TypeVar

from hestiaos_local.execution import Output, run_executor, run_executor_sync
from hestiaos_local.flow._effects import Await, Begin, Call, Cancelled, Effect, Emit, Flow, Next, Stop

__all__ = ["Caller", "drive", "drive_sync", "in_thread"]

T = TypeVar("T")

Caller = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls a function that may block, such as in a thread."""


async def in_thread(function: Callable[[], T]) -> T:
    """Call `function` in a thread. A call that has begun is not cancelled."""
    from anyio.to_thread import run_sync

    return await run_sync(function)


class _Steps:
    """The effects of a flow. Each is completed by `answer` or `fail` before the next."""

    def __init__(self, flow: Flow[object]) -> None:
        self._flow = flow
        self._value: object = None
        self._error: BaseException | None = None

    def next(self) -> Effect | None:
        """Return the next effect, or None at the end. Raises what the flow raises."""
        error, self._error = self._error, None
        try:
            if error is None:
                return self._flow.send(self._value)
            return self._flow.throw(error)
        except StopIteration:
            return None
        finally:
            del error  # avoids a reference cycle: an exception's traceback refers to this frame

    def answer(self, value: object) -> None:
        """Complete the effect with its result."""
        self._value = value

    def fail(self, error: BaseException) -> None:
        """Complete the effect with an exception."""
        self._error = error

    def next_call(self) -> Call | None:
        """Return the next effect of a cancelled flow, which can only be a `Call`, or None at the end."""
        try:
            while not isinstance(effect := self.next(), Call | None):
                self.fail(Cancelled())
        except Cancelled:
            return None
        return effect


async def drive(flow: Flow[object], call: Caller) -> AsyncGenerator[Any, None]:
    """Yield what `flow` emits. Closing the generator early cancels the work, and throws `Cancelled` into the flow."""
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
            except BaseException:  # the caller stopped: end the work first, then let the flow store the outcome
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
    """Drive like `drive`, without an event loop."""
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
    """Await in a thread with its own event loop, as this thread may already run one."""
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:
        return portal.call(function)
