"""Calls and streams on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hestiaos_asyncio._pool import Pool, expire
from hestiaos_proto import LocalProtocolError, LoopEventStream, LoopExecutor, NetworkOptions

__all__ = ["AsyncioEventStream", "Executor"]


class Executor(LoopExecutor):
    """Carries out operations in the running asyncio loop."""

    @staticmethod
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)

    @staticmethod
    def _current_loop() -> asyncio.AbstractEventLoop:
        try:
            return asyncio.get_running_loop()
        except RuntimeError:
            raise LocalProtocolError("AsyncioClient works under asyncio only: for trio there is TrioClient") from None

    @staticmethod
    def _new_pool(network: NetworkOptions, loop: object) -> Pool:
        assert isinstance(loop, asyncio.AbstractEventLoop), "it is the running loop"
        return Pool(network, loop)


class AsyncioEventStream(LoopEventStream):
    """The events of a run: an asynchronous iterator, and a context manager that ends the connection.

    The connection is closed at the end of the stream, by `aclose`, by leaving the `async with` block, by a
    cancellation, and, as soon as the event loop runs, when the object is garbage-collected. Iterating raises what
    `run_stream` says.
    """

    _scope: asyncio.Timeout | None = None

    async def _until_closed(self, work: Callable[[], Awaitable[None]]) -> None:
        self._scope = scope = asyncio.timeout(None)
        try:
            async with scope:
                await work()
        except TimeoutError:
            if not scope.expired():
                raise
        finally:
            self._scope = None

    def _stop_waiting(self) -> None:
        scope, self._scope = self._scope, None
        if scope is not None:
            expire(scope, asyncio.get_running_loop())
