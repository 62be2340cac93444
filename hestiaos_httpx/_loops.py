"""What differs between asyncio and trio, and anyio has no word for.

anyio and asyncio are imported when an event loop runs and not before: they would double the time that a script takes to
import us.
"""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

__all__ = ["call_in", "current_loop", "spawn_in"]

_log = logging.getLogger("hestiaos.httpx")

_closing: set[asyncio.Task[None]] = set()  # an event loop itself holds its tasks weakly


def current_loop() -> object:
    """What stands for the running event loop: asyncio's loop or trio's token. Raises `RuntimeError` outside of one."""
    from anyio.lowlevel import current_token

    token = current_token()
    return getattr(token, "native_token", token)


def call_in(loop: Any, function: Callable[[], object]) -> bool:
    """Call `function` in `loop` as soon as it runs, from any thread; false where it has ended."""
    # Nothing can be imported any more while the interpreter ends; what is not loaded does not run either.
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    if asyncio is not None and isinstance(loop, asyncio.AbstractEventLoop):
        if loop.is_closed():
            return False
        loop.call_soon_threadsafe(function)
    elif trio is not None:
        try:
            loop.run_sync_soon(function)
        except trio.RunFinishedError:
            return False
    return True


def spawn_in(loop: Any, close: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Run `close` as a task of `loop` as soon as it runs, from any thread; false where it has ended."""
    trio = sys.modules.get("trio")
    if trio is not None and isinstance(loop, trio.lowlevel.TrioToken):
        return call_in(loop, partial(_start_trio, trio.lowlevel.spawn_system_task, close))
    return call_in(loop, partial(_start_asyncio, loop, close))


def _start_asyncio(loop: asyncio.AbstractEventLoop, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    task = loop.create_task(_finish(close))
    _closing.add(task)
    task.add_done_callback(_closing.discard)


def _start_trio(spawn: Callable[..., object], close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        spawn(_finish, close)
    except RuntimeError:  # the run is about to end and takes no more tasks
        # trio ends the generators that are left by then itself, and warns of those that are collected before.
        weakref.finalize(current_loop(), _nothing, close).atexit = False


def _nothing(_: object) -> None:
    pass


async def _finish(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        await close()
    except Exception:  # there is nobody whom it could be told, and in trio it would end the program
        _log.warning("the connection of a dropped stream did not close well", exc_info=True)
