"""What differs between asyncio and trio, and anyio has no word for.

anyio is imported when an event loop runs and not before: it would double the time that a script takes to import us.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

__all__ = ["close_soon", "current_loop", "in_scope"]

_log = logging.getLogger("hestiaos_httpx")

_closing: set[asyncio.Task[None]] = set()  # an event loop itself holds its tasks weakly


def current_loop() -> object:
    """What stands for the running event loop: asyncio's loop or trio's token. Raises `RuntimeError` outside of one."""
    from anyio.lowlevel import current_token

    token = current_token()
    return getattr(token, "native_token", token)


async def in_scope(work: Callable[[], Awaitable[None]]) -> None:
    """Await `work` so that every cancellation reaches it as anyio's does, which stops at a shield.

    asyncio's own `Task.cancel` knows no shield, but a task of a task group hears of it only through the group's scope.
    """
    if not isinstance(current_loop(), asyncio.AbstractEventLoop):
        await work()
        return
    from anyio import create_task_group

    errors: list[Exception] = []

    async def run() -> None:
        try:
            await work()
        except Exception as error:  # raised below, where no group is wrapped around it
            errors.append(error)

    async with create_task_group() as tasks:
        tasks.start_soon(run)
    for error in errors:
        raise error


def close_soon(loop: object, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `close` in `loop` as soon as it can, from wherever a finalizer happens to run; not if the loop has ended."""
    if isinstance(loop, asyncio.AbstractEventLoop):
        if not loop.is_closed():
            loop.call_soon_threadsafe(_start_asyncio, loop, close)
        return
    trio = sys.modules.get("trio")  # nothing can be imported any more while the interpreter ends
    if trio is not None:
        token: Any = loop  # trio's: there are no others
        with suppress(trio.RunFinishedError):  # the run has closed its connections when it ended
            token.run_sync_soon(_start_trio, trio.lowlevel.spawn_system_task, close)


def _start_asyncio(loop: asyncio.AbstractEventLoop, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    task = loop.create_task(_finish(close))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def _start_trio(spawn: Callable[..., object], close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with suppress(RuntimeError):  # the run is about to end, and takes no more tasks; it closes its connections itself
        spawn(_finish, close)


async def _finish(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await close()
    except Exception:  # there is nobody whom it could be told, and in trio it would end the program
        _log.warning("a dropped stream's connection did not close well", exc_info=True)
