"""Lines: httpx clients that have one connection each, for one exchange at a time.

httpx does not tell over which of its connections a request goes before the response is there. To end a blocked read
one must know. And httpcore's pool loses a place where a request is cancelled at a bad moment. A line whose exchange did
not end well is closed as a whole, so nothing can be lost in it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import httpx
from attrs import define

from hestiaos_httpx.cancelling import shut_down
from hestiaos_proto import LocalProtocolError, Send, TimedOut

if TYPE_CHECKING:
    from hestiaos_httpx.exchange import AsyncExchange

__all__ = ["AsyncLines", "Line", "Lines"]

C = TypeVar("C", httpx.Client, httpx.AsyncClient)


@define(eq=False)
class Line(Generic[C]):
    """A httpx client for one exchange at a time; `network` is httpcore's stream of the connection that it used last.

    A client that was `given` to us has headers and cookies of its own, which are sent too.
    """

    client: C
    given: bool = False
    network: Any = None
    idle_since: float = 0.0


class _Lines(Generic[C]):
    """As many lines at a time as the limits have connections; the one that was used last is used first.

    `shared` is for a transport that was given to us: whatever its connections are, all lines are the one client for it.
    """

    def __init__(self, new_client: Callable[[], C], limits: httpx.Limits, *, shared: bool) -> None:
        self._new_client: Callable[[], C] = new_client
        self._limits = limits
        self._shared: C | None = new_client() if shared else None
        self._most = sys.maxsize if limits.max_connections is None else limits.max_connections
        self._lines: set[Line[C]] = set()
        self._spare: list[Line[C]] = []
        self._closed = False

    def _next(self) -> Line[C]:
        if self._closed:
            raise LocalProtocolError("the client was closed while this waited for a connection")
        line = self._spare.pop() if self._spare else Line(self._new_client())
        self._lines.add(line)
        return line

    def _keep(self, line: Line[C]) -> None:
        line.idle_since = time.monotonic()
        self._spare.append(line)

    def _surplus(self) -> Iterator[Line[C]]:
        """Those that were not used for too long, which are lines of ours no more."""
        most, kept = self._limits.max_keepalive_connections, self._limits.keepalive_expiry
        now = time.monotonic()
        while self._spare and (
            (most is not None and len(self._spare) > most)
            or (kept is not None and now - self._spare[0].idle_since > kept)
        ):
            line = self._spare.pop(0)
            self._lines.discard(line)
            yield line


class Lines(_Lines[httpx.Client]):
    """The lines of the threads of a process."""

    def __init__(self, new_client: Callable[[], httpx.Client], limits: httpx.Limits, *, shared: bool) -> None:
        super().__init__(new_client, limits, shared=shared)
        self._places = threading.Semaphore(self._most)
        self._lock = threading.RLock()  # a finalizer may give a line back while this thread has it
        self._process = os.getpid()

    def take(self, send: Send) -> Line[httpx.Client]:
        """A line, to be given back.

        Raises `TimedOut` where none becomes free, and `LocalProtocolError` where all are closed meanwhile.
        """
        if self._shared is not None:
            return Line(self._shared)
        if not self._places.acquire(timeout=send.deadline.bound(send.timeout)):
            late = send.deadline.timeout_error(f"every connection to {send.request.origin} stayed in use for too long")
            late.request_sent = False
            raise late
        try:
            with self._lock:
                return self._next()
        except BaseException:  # Ctrl-C, or a proxy that the environment names wrongly; it is raised again
            self._places.release()
            raise

    def give_back(self, line: Line[httpx.Client]) -> None:
        """Take a line back, and close those that were not used for too long."""
        with self._lock:
            if line not in self._lines:
                return  # it is a shared one, or was closed with all others
            self._keep(line)
            for surplus in self._surplus():
                surplus.client.close()
        self._places.release()

    def close(self) -> None:
        """Close every line, those that are in use too, and tell those who read and those who wait for a place."""
        # Not after a fork: then a thread may have a lock that is not there any more, and the connections' other owner
        # goes on with them.
        if self._process == os.getpid():
            with self._lock:
                self._closed = True
            self._places.release()  # those who wait for one are told, one after another
            for line in list(self._lines):
                shut_down(line.network)  # a closed one would leave its reader waiting
        if self._shared is not None:
            self._shared.close()
        self._spare.clear()
        while self._lines:
            self._lines.pop().client.close()


class AsyncLines(_Lines[httpx.AsyncClient]):
    """The lines of the tasks of an event loop; `exchanges` are those under way, which end with it."""

    def __init__(
        self, new_client: Callable[[], httpx.AsyncClient], limits: httpx.Limits, *, shared: bool, given: bool
    ) -> None:
        from anyio import Semaphore

        super().__init__(new_client, limits, shared=shared)
        self._given = given
        self._places = Semaphore(self._most, fast_acquire=True)
        self.exchanges: set[AsyncExchange] = set()

    async def take(self, send: Send) -> Line[httpx.AsyncClient]:
        """As `Lines.take`."""
        if self._shared is not None:
            return Line(self._shared, given=self._given)
        from anyio import move_on_after

        with move_on_after(send.timeout) as scope:
            await self._places.acquire()
        if scope.cancelled_caught:
            raise TimedOut(f"every connection to {send.request.origin} stayed in use for too long", request_sent=False)
        try:
            return self._next()
        except BaseException:  # a proxy that the environment names wrongly, too; it is raised again
            self._places.release()
            raise

    async def give_back(self, line: Line[httpx.AsyncClient], *, usable: bool) -> None:
        """Take a line back, and close it where it is not `usable`, and those that were not used for too long.

        What is closed is closed before this waits for anything, so a cancellation does not keep it open.
        """
        if line not in self._lines:
            return
        try:
            if usable:
                self._keep(line)
            else:
                self._lines.discard(line)
                await line.client.aclose()
            for surplus in self._surplus():
                await surplus.client.aclose()
        finally:
            self._places.release()

    async def aclose(self) -> None:
        """End every exchange, and close every line; a client that was given stays open."""
        self._closed = True
        self._places.release()  # those who wait for one are told, one after another
        async with AsyncExitStack() as closing:  # it goes on where one fails or is cancelled; the last comes first
            for line in self._lines:
                closing.push_async_callback(line.client.aclose)
            if self._shared is not None and not self._given:
                closing.push_async_callback(self._shared.aclose)
            for exchange in self.exchanges:
                closing.push_async_callback(exchange.aclose)
            self._spare.clear()
            self._lines.clear()
