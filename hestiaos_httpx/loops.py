"""What differs between asyncio and trio, and anyio has no word for.

anyio and asyncio are imported when an event loop runs and not before: they would double the time that a script takes to
import us.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

__all__ = ["close_soon", "current_loop"]

_log = logging.getLogger("hestiaos_httpx")

_closing: set[asyncio.Task[None]] = set()  # an event loop itself holds its tasks weakly


def current_loop() -> object:
    """What stands for the running event loop: asyncio's loop or trio's token. Raises `RuntimeError` outside of one."""
    from anyio.lowlevel import current_token

    token = current_token()
    return getattr(token, "native_token", token)


def close_soon(loop: Any, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `close` in `loop` as soon as it can, from wherever a finalizer happens to run; not if the loop has ended."""
    # Nothing can be imported any more while the interpreter ends; what is not loaded does not run either.
    asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
    if asyncio is not None and isinstance(loop, asyncio.AbstractEventLoop):
        if not loop.is_closed():
            loop.call_soon_threadsafe(_start_asyncio, loop, close)
    elif trio is not None:
        with suppress(trio.RunFinishedError):  # the run has closed its connections when it ended
            loop.run_sync_soon(_start_trio, trio.lowlevel.spawn_system_task, close)


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
