"""What differs between asyncio and trio, and anyio has no word for.

anyio is imported when an event loop runs and not before: it would double the time that a script takes to import us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

__all__ = ["close_soon", "current_loop"]

_closing: set[asyncio.Task[None]] = set()  # an event loop itself holds its tasks weakly


def current_loop() -> object:
    """What stands for the running event loop: asyncio's loop or trio's token. Raises `RuntimeError` outside of one."""
    from anyio.lowlevel import current_token

    token = current_token()
    return getattr(token, "native_token", token)


def close_soon(loop: object, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `close` in `loop` as soon as it can, from wherever a finalizer happens to run; not if the loop has ended."""
    if isinstance(loop, asyncio.AbstractEventLoop):
        if not loop.is_closed():
            loop.call_soon_threadsafe(_start, loop, close)
        return
    import trio

    assert isinstance(loop, trio.lowlevel.TrioToken), "there are asyncio and trio"
    with suppress(trio.RunFinishedError):  # trio has closed the connection with everything else
        loop.run_sync_soon(trio.lowlevel.spawn_system_task, close)


def _start(loop: asyncio.AbstractEventLoop, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    task = loop.create_task(close())
    _closing.add(task)
    task.add_done_callback(_closing.discard)
