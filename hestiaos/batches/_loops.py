"""The tasks of a batch, with asyncio's task groups or trio's nurseries."""

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
    """A group of tasks, entered and left in one task, and an event that they set."""

    async def enter(self) -> None:
        """Enter the group."""
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
        """End the current or next `wait_for_news`."""
        ...

    async def wait_for_news(self) -> None:
        """Wait for a `wake` after the last such wait."""
        ...

    async def pause(self, seconds: float) -> None:
        """Sleep, at most until `end_pauses`."""
        ...

    def end_pauses(self) -> None:
        """End all current and future pauses."""
        ...


def new_tasks() -> Tasks:
    """Create a group for the running event loop. Raises `RuntimeError` outside of one."""
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
        # Not with the exception of the block, which the group would wrap in an exception group.
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
        # One for each task, since the nursery's own scope includes the block.
        self._scopes: set[trio.CancelScope] = set()

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
