"""Cancelling a piece of work at a given suspension, as asyncio cancels and as trio and anyio do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import anyio
import sniffio
import trio

__all__ = ["CANCELLERS", "Canceller", "Suspensions", "by_scope", "by_task", "counted_tasks"]

Work = Coroutine[Any, Any, None]


class Suspensions:
    """Counts how often pieces of work are suspended, and calls `act` at number `turn`, counting from 1.

    It is called `times` times, at one suspension after another. `late` puts it off until what is waited for has
    arrived, and before the task hears of that.
    """

    def __init__(self, turn: int, act: Callable[[], object], *, late: bool = False, times: int = 1) -> None:
        self._turns = range(turn, turn + times)
        self._act = act
        self._late = late
        self.count = 0

    async def during(self, work: Awaitable[Any]) -> Any:
        """Await `work`, whose suspensions count."""
        return await _Counted(work, self._note)

    def task_factory(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **options: Any) -> Any:
        """For asyncio's loop: the suspensions of the tasks that the work starts count too."""
        return asyncio.Task(self.during(work), loop=loop, **options)

    def _note(self, waits_for: object) -> None:
        self.count += 1
        if self.count in self._turns:
            if not self._late:
                self._act()
            elif isinstance(waits_for, asyncio.Future):
                waits_for.add_done_callback(lambda _: self._act())
            elif sniffio.current_async_library() == "trio":
                trio.lowlevel.add_instrument(_WhenScheduled(trio.lowlevel.current_task(), self._act))
            else:  # nothing is waited for: the task gives way to others
                self._act()


class _WhenScheduled(trio.abc.Instrument):
    """Calls `act` when trio has found that `task` can go on."""

    def __init__(self, task: trio.lowlevel.Task, act: Callable[[], object]) -> None:
        self._task = task
        self._act = act

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            trio.lowlevel.remove_instrument(self)
            self._act()


class _Counted:
    """Awaits `work` and tells `note` of what it waits for, each time that it is suspended."""

    def __init__(self, work: Awaitable[Any], note: Callable[[object], None]) -> None:
        self._work = work
        self._note = note

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._work.__await__()
        go_on, value = steps.send, None
        while True:
            try:
                waits_for = go_on(value)
            except StopIteration as end:
                return end.value
            self._note(waits_for)
            try:
                go_on, value = steps.send, (yield waits_for)
            except BaseException as error:  # the work decides what it means
                go_on, value = steps.throw, error


class Canceller(Protocol):
    """Cancels `work` at its suspension `turn`, `late` or not, `times` times. Whether the turn came."""

    async def __call__(self, work: Work, turn: int, *, late: bool = False, times: int = 1) -> bool: ...


async def by_scope(work: Work, turn: int, *, late: bool = False, times: int = 1) -> bool:
    """As trio and anyio cancel: whatever is waited for is cancelled until the scope is left, however often it is."""
    with anyio.CancelScope() as scope:
        steps = Suspensions(turn, scope.cancel, late=late, times=times)
        with counted_tasks(steps):
            await steps.during(work)
    return steps.count >= turn


async def by_task(work: Work, turn: int, *, late: bool = False, times: int = 1) -> bool:
    """As asyncio cancels: once, or while what the cancellation set off is still under way, once more."""
    steps = Suspensions(turn, lambda: task.cancel(), late=late, times=times)
    with counted_tasks(steps):
        task = asyncio.create_task(work)
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return steps.count >= turn


CANCELLERS: dict[str, list[Canceller]] = {"asyncio": [by_task, by_scope], "trio": [by_scope]}
"""By the event loop."""


@contextmanager
def counted_tasks(steps: Suspensions) -> Iterator[None]:
    """On asyncio, count the suspensions of every task that is started meanwhile."""
    if sniffio.current_async_library() == "trio":
        yield
        return
    loop = asyncio.get_running_loop()
    loop.set_task_factory(steps.task_factory)
    try:
        yield
    finally:
        loop.set_task_factory(None)
