"""What may end an exchange before its time: its deadline, its caller, the close of its client."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from hestiaos_proto import Send

if TYPE_CHECKING:
    from anyio import CancelScope

__all__ = ["Guard", "sleep"]

T = TypeVar("T")

_SLICE = 0.05  # seconds between two looks: nothing in Python waits for a socket and an event at once


class Guard:
    """Looked at by whoever waits for an exchange. It does not know the exchange, so that it does not keep it alive.

    `client` says by `closed` whether the client was closed. `read_timeout` bounds each read more tightly, in seconds.
    """

    def __init__(self, send: Send, client: Any, event: threading.Event | None = None) -> None:
        self.connect_timeout = send.timeout
        self.read_timeout: float | None = None
        self.deadline = send.deadline
        self.event = event
        self.scope: CancelScope | None = None  # of the task that waits
        self._cancelled = False
        self._client = client

    def cancel(self) -> None:
        """End the exchange: a thread looks here, a task is told."""
        self._cancelled = True
        if self.scope is not None:
            self.scope.cancel()

    def is_over(self) -> bool:
        """Whether the caller has cancelled the exchange, or closed the client."""
        return self._cancelled or self._client.closed or (self.event is not None and self.event.is_set())

    def left(self, until: float) -> float:
        """The seconds until then, or until the deadline, by `time.monotonic`.

        Raises `TimeoutError` where there are none, `OSError` where the exchange is over.
        """
        if self.is_over():
            raise OSError("the exchange was ended by its caller")
        left = self.deadline.bound(until - time.monotonic())
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def slice(self, until: float) -> float:
        """How long a thread waits before its next look, in seconds. Raises as `left` does."""
        return min(_SLICE, self.left(until))

    async def within(self, until: float, wait: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        """Have a task wait, no longer than until then. Raises as `left` does."""
        from anyio import move_on_after

        try:
            with move_on_after(self.left(until)) as self.scope:
                return await wait(*arguments)
        finally:
            self.scope = None
        self.left(until)
        raise TimeoutError("timed out")


def sleep(seconds: float, is_over: Callable[[], bool]) -> None:
    """Let `seconds` pass, or fewer where nobody waits any more."""
    until = time.monotonic() + seconds
    while not is_over() and (left := until - time.monotonic()) > 0:
        time.sleep(min(_SLICE, left))
