"""Calls and streams on trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from hestiaos_proto import LocalProtocolError, LoopEventStream, LoopExecutor, NetworkOptions
from hestiaos_trio._pool import Pool

__all__ = ["Executor", "TrioEventStream"]


class Executor(LoopExecutor):
    """Carries out operations in the running `trio.run`."""

    @staticmethod
    async def sleep(seconds: float) -> None:
        await trio.sleep(seconds)

    @staticmethod
    def _current_loop() -> trio.lowlevel.TrioToken:
        if not trio.lowlevel.in_trio_run():
            raise LocalProtocolError("TrioClient works under trio only: for asyncio there is AsyncioClient")
        return trio.lowlevel.current_trio_token()

    @staticmethod
    def _new_pool(network: NetworkOptions, loop: object) -> Pool:
        assert isinstance(loop, trio.lowlevel.TrioToken), "it is the current run's"
        return Pool(network, loop)


class TrioEventStream(LoopEventStream):
    """The events of a run: an asynchronous iterator, and a context manager that ends the connection.

    The connection is closed at the end of the stream, by `aclose`, by leaving the `async with` block, by a
    cancellation, and, as soon as trio runs, when the object is garbage-collected. Iterating raises what
    `run_stream` says.
    """

    _scope: trio.CancelScope | None = None

    async def _until_closed(self, work: Callable[[], Awaitable[None]]) -> None:
        with trio.CancelScope() as self._scope:
            await work()

    def _stop_waiting(self) -> None:
        if self._scope is not None:
            self._scope.cancel()  # no effect after the scope has been left
