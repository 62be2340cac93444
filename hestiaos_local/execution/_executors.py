"""The interface of executors, and base classes for asynchronous and synchronous ones, which serve both callers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from threading import Lock
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from hestiaos_local.execution._outputs import Output
from hestiaos_local.execution._timeouts import in_time
from hestiaos_local.execution._work import Work
from hestiaos_proto import StatusError

if TYPE_CHECKING:
    from anyio import CapacityLimiter
    from anyio.abc import ObjectSendStream
    from anyio.lowlevel import RunVar

__all__ = ["AsyncExecutor", "Checkable", "Executor", "SyncExecutor", "keeps_max_tokens", "outputs_in_time"]

_THREADS = 64
"""How many synchronous executors may work at once for one event loop. They have threads of their own, so that other
work does not wait for them."""


class Executor(Protocol):
    """Performs work. Closing a generator that it returned cancels the work, including a request to a model server.

    Both methods yield the same outputs: `execute` for callers on an event loop (asyncio or trio), `execute_sync` for
    callers without one. `AsyncExecutor` and `SyncExecutor` each derive one method from the other.
    """

    def execute(self, work: Work) -> AsyncGenerator[Output, None]:
        """Yield the outputs as they are produced."""
        ...

    def execute_sync(self, work: Work) -> Generator[Output, None, None]:
        """Yield the same outputs without an event loop."""
        ...


@runtime_checkable
class Checkable(Protocol):
    """An executor that can report whether what it depends on is available."""

    async def check(self) -> StatusError | None:
        """Return why it is unavailable, or None if it is available."""
        ...


def keeps_max_tokens(executor: Executor) -> bool:
    """Return whether the executor enforces `max_tokens` itself, which its attribute of this name states."""
    return bool(getattr(executor, "keeps_max_tokens", False))


def outputs_in_time(executor: Executor, work: Work) -> AsyncGenerator[Output, None]:
    """The outputs within the work's timeout, which an executor with a true `keeps_timeout` enforces itself."""
    outputs = executor.execute(work)
    return outputs if getattr(executor, "keeps_timeout", False) else in_time(outputs, work.timeout)


class AsyncExecutor(ABC):
    """A base class for asynchronous executors.

    For a synchronous caller, an event loop runs in a thread for the duration of the execution. So a timeout, a close or
    Ctrl-C cancels the work at once, whatever it waits for, and no thread is left to be closed or to survive a fork.
    """

    @abstractmethod
    def execute(self, work: Work) -> AsyncGenerator[Output, None]:
        """Yield the outputs as they are produced."""

    def execute_sync(self, work: Work) -> Generator[Output, None, None]:
        """Yield the same outputs without an event loop. One output is produced in advance."""
        from anyio import EndOfStream, create_memory_object_stream
        from anyio.from_thread import start_blocking_portal

        with start_blocking_portal() as portal:
            send, receive = create_memory_object_stream[Output](0)
            pumping = portal.start_task_soon(self._pump, work, send)
            try:
                while True:
                    try:
                        output = portal.call(receive.receive)
                    except EndOfStream:
                        break
                    yield output
                pumping.result()
            finally:
                pumping.cancel()
                portal.call(send.close)
                portal.call(receive.close)

    async def _pump(self, work: Work, send: ObjectSendStream[Output]) -> None:
        # The generator stays in one task, as it may yield inside a cancel scope or task group.
        async with send, aclosing(outputs_in_time(self, work)) as outputs:
            async for output in outputs:
                await send.send(output)


class SyncExecutor(ABC):
    """A base class for synchronous executors. For an asynchronous caller, they work in a thread.

    If such a caller stops while an output is being produced, it does not wait for it. The generator is closed in its
    thread after that output.
    """

    @abstractmethod
    def execute_sync(self, work: Work) -> Generator[Output, None, None]:
        """Yield the outputs as they are produced."""

    async def execute(self, work: Work) -> AsyncGenerator[Output, None]:
        """Yield the same outputs on an event loop."""
        from anyio import CancelScope
        from anyio.to_thread import run_sync

        steps = _Steps(self.execute_sync(work))
        limiter = _limiter()
        try:
            while (output := await run_sync(steps.next, abandon_on_cancel=True, limiter=limiter)) is not None:
                yield output
        finally:
            if not steps.over:
                with CancelScope(shield=True):
                    await run_sync(steps.close)


class _Steps:
    """A generator that one thread advances, and that another thread may close meanwhile."""

    def __init__(self, outputs: Generator[Output, None, None]) -> None:
        self._outputs = outputs
        self._lock = Lock()
        self._closing = False
        self.over = False

    def next(self) -> Output | None:
        """Return the next output, or None at the end."""
        with self._lock:
            output = next(self._outputs, None)
            self.over = output is None
        if self._closing:  # after releasing the lock, as `close` leaves closing to this thread if the lock is taken
            self.close()
        return output

    def close(self) -> None:
        """Close the generator, or let the thread that is advancing it do so."""
        self._closing = True
        if self._lock.acquire(blocking=False):
            try:
                self._outputs.close()
            finally:
                self._lock.release()


_limiters: RunVar[CapacityLimiter] | None = None


def _limiter() -> CapacityLimiter:
    """Return the event loop's limiter for threads of executors."""
    from anyio import CapacityLimiter
    from anyio.lowlevel import RunVar

    global _limiters
    if (limiters := _limiters) is None:
        limiters = _limiters = RunVar("hestiaos_local.executors")
    if (limiter := limiters.get(None)) is None:
        limiter = CapacityLimiter(_THREADS)
        limiters.set(limiter)
    return limiter
