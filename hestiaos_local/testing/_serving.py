"""Serve a platform on a free port, in a thread with its own event loop."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hestiaos_local._platform import Platform

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

__all__ = ["serving"]


@contextmanager
def serving(platform: Platform) -> Generator[str, None, None]:
    """Serve within the `with` block, and yield the base URL. At the end, open connections are closed."""
    from anyio.from_thread import start_blocking_portal

    with start_blocking_portal() as portal:
        served, url = portal.start_task(_serve, platform)
        try:
            yield url
        finally:
            if not served.cancel():
                served.result()  # raises the reason if the server ended by itself


async def _serve(platform: Platform, *, task_status: TaskStatus[str]) -> None:
    from hestiaos_local.serving import serve

    await serve(platform, port=0, token_delay=0.0, on_listening=task_status.started)
