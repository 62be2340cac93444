"""The tasks of a batch on asyncio and on trio, as each of them has structured tasks."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    import trio

__all__ = ["Tasks", "new_tasks"]


class Tasks(Protocol):
    """A group of tasks, which is entered and left in one task, and an event that they set."""

    async def enter(self) -> None:
        """Begin."""
        ...

    async def leave(self) -> None:
        """Cancel the tasks and wait until they have ended."""
        ...

    def start(self, function: Callable[[], Awaitable[None]]) -> None:
        """Start another task."""
        ...

    def cancel(self) -> None:
        """Cancel the tasks."""
        ...

    def wake(self) -> None:
        """End `wait_for_news`, now or the next time."""
        ...

    async def wait_for_news(self) -> None:
        """Wait for a `wake` that came after the last such wait."""
        ...

    async def pause(self, seconds: float) -> None:
        """Let time pass, until `end_pauses`."""
        ...

    def end_pauses(self) -> None:
        """End each pause, now and later."""
        ...


def new_tasks() -> Tasks:
    """Tasks for the running event loop. Raises `RuntimeError` outside of one."""
    if (trio := sys.modules.get("trio")) is not None and trio.lowlevel.in_trio_run():
        return _TrioTasks()
    return _AsyncioTasks()


class _AsyncioTasks:
    def __init__(self) -> None:
        import asyncio

        asyncio.get_running_loop()
        self._timeout = asyncio.timeout
        self._event = asyncio.Event()
        self._no_pause = asyncio.Event()
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()

    async def enter(self) -> None:
        await self._group.__aenter__()

    async def leave(self) -> None:
        self.cancel()
        # Not with the exception of the block, which a group would raise inside of another.
        await self._group.__aexit__(None, None, None)

    def start(self, function: Callable[[], Awaitable[None]]) -> None:
        async def work() -> None:
            await function()

        task = self._group.create_task(work())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def wake(self) -> None:
        self._event.set()

    async def wait_for_news(self) -> None:
        await self._event.wait()
        self._event.clear()

    async def pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with self._timeout(seconds):
                await self._no_pause.wait()

    def end_pauses(self) -> None:
        self._no_pause.set()


class _TrioTasks:
    def __init__(self) -> None:
        import trio

        self._trio = trio
        self._event = trio.Event()
        self._no_pause = trio.Event()
        self._manager = trio.open_nursery()
        self._nursery: trio.Nursery | None = None
        self._scopes: set[trio.CancelScope] = set()  # of the tasks: the nursery's own is around the block too

    async def enter(self) -> None:
        self._nursery = await self._manager.__aenter__()

    async def leave(self) -> None:
        self.cancel()
        await self._manager.__aexit__(None, None, None)

    def start(self, function: Callable[[], Awaitable[None]]) -> None:
        assert self._nursery is not None, "tasks are started in the block"
        scope = self._trio.CancelScope()
        self._scopes.add(scope)
        self._nursery.start_soon(self._run, function, scope)

    def cancel(self) -> None:
        for scope in self._scopes:
            scope.cancel()

    def wake(self) -> None:
        self._event.set()

    async def wait_for_news(self) -> None:
        await self._event.wait()
        self._event = self._trio.Event()

    async def pause(self, seconds: float) -> None:
        with self._trio.move_on_after(seconds):
            await self._no_pause.wait()

    def end_pauses(self) -> None:
        self._no_pause.set()

    async def _run(self, function: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        try:
            with scope:
                await function()
        finally:
            self._scopes.discard(scope)
