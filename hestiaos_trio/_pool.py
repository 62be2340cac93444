"""The connections of one `trio.run`."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from hestiaos_proto import LoopPool, NetworkOptions
from hestiaos_trio._connection import Connection

__all__ = ["Pool"]

T = TypeVar("T")

_log = logging.getLogger("hestiaos.calls")


class Pool(LoopPool):
    """The pool of the current run `run`."""

    def __init__(self, network: NetworkOptions, run: trio.lowlevel.TrioToken) -> None:
        super().__init__(network)
        self._run = run
        self._process = os.getpid()

    def is_current(self) -> bool:
        return trio.lowlevel.in_trio_run() and trio.lowlevel.current_trio_token() is self._run

    def call_soon(self, function: Callable[..., object], /, *args: object) -> bool:
        if self._process != os.getpid():
            return False
        try:
            self._run.run_sync_soon(function, *args)
        except trio.RunFinishedError:
            return False
        return True

    def _event(self) -> trio.Event:
        return trio.Event()

    async def _wait(self, event: trio.Event, seconds: float) -> bool:
        with trio.move_on_after(seconds):
            await event.wait()
        return event.is_set()

    async def _checkpoint(self) -> None:
        await trio.lowlevel.checkpoint()

    async def _within(
        self, seconds: float, cancels: set[Callable[[], object]], work: Callable[[], Awaitable[T]]
    ) -> T | None:
        scope = trio.CancelScope(deadline=trio.current_time() + seconds)
        cancels.add(scope.cancel)
        try:
            with scope:
                return await work()
            return None
        finally:
            cancels.discard(scope.cancel)

    def _spawn(self, work: Callable[[], Awaitable[object]]) -> None:
        if self.is_current():
            trio.lowlevel.spawn_system_task(_logged, work)

    async def _connect(self, seconds: float) -> Connection:
        try:
            return await self._connect_now()
        except trio.BrokenResourceError as error:
            raise OSError(_innermost(error)) from error

    async def _connect_now(self) -> Connection:
        network = self.network
        host, port = network.config.address
        transport = (
            await trio.open_tcp_stream(host, port) if network.uds is None else await trio.open_unix_socket(network.uds)
        )
        stream: trio.abc.Stream = transport
        if network.config.tls:
            try:
                # RFC 9110, section 4.3.4: many servers close without ending TLS; HTTP has its own end of a message.
                stream = tls = trio.SSLStream(
                    transport, network.ssl_context, server_hostname=host, https_compatible=True
                )
                await tls.do_handshake()
            except BaseException:  # a cancellation too; it is raised again
                transport.socket.close()
                raise
        return Connection(network, stream, transport.socket)

    @staticmethod
    def _reason(error: BaseException) -> str:
        return str(_innermost(error))


async def _logged(work: Callable[[], Awaitable[object]]) -> None:
    """Log exceptions of `work`, since an exception of a system task would end the run."""
    try:
        await work()
    except Exception:
        _log.exception("a background task of a transport failed")


def _innermost(error: BaseException) -> BaseException:
    """Return the original exception: trio groups those of several addresses, and has that of TLS as a cause."""
    if isinstance(error, BaseExceptionGroup):
        return _innermost(error.exceptions[0])
    return error if error.__cause__ is None else _innermost(error.__cause__)
