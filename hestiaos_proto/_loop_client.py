"""Calls and streams of clients for event loops, over one pool for each loop in which a client is used."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar
from weakref import finalize, ref

from hestiaos_proto._call_options import CallOptions, StreamOptions
from hestiaos_proto._calls import CallContext, run_flow_async
from hestiaos_proto._client_bases import AsyncClientBase, AsyncStreams
from hestiaos_proto._client_messages import Response
from hestiaos_proto._errors import LocalProtocolError
from hestiaos_proto._event_streams import AsyncEventStreamBase
from hestiaos_proto._loop_pool import LoopConnection, LoopPool, NetworkOptions
from hestiaos_proto._other_kind import NotSynchronousClient
from hestiaos_proto._pool import Lease
from hestiaos_proto._steps import Send
from hestiaos_proto._stream import RunStream
from hestiaos_proto._streaming_chats import AsyncStreamingChat
from hestiaos_proto._transports import TransportConnection
from hestiaos_proto.operations import Operation

__all__ = ["LoopClient", "LoopEventStream", "LoopExecutor"]

T = TypeVar("T")
S = TypeVar("S", bound="LoopEventStream")


class LoopExecutor(ABC):
    """Carries out operations in the running event loop, over connections of that loop.

    The connections of a loop that has ended are closed when the client is used in another loop. All are closed when the
    client is garbage-collected, and when the process ends.
    """

    def __init__(self, context: CallContext, network: NetworkOptions) -> None:
        self.context = context
        self._network = network
        self._pools: dict[object, LoopPool] = {}
        self._closed = False
        finalize(self, _close_at_exit, ref(self))

    def __del__(self) -> None:
        self._close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.context.config.base_url!r})"

    async def execute_async(self, operation: Operation[T], options: CallOptions) -> T:
        """Return the operation's result. Raises `HestiaError`."""
        flow, _ = self.context.begin(operation, options)
        return await run_flow_async(flow, self._send, self.sleep)

    def pool(self) -> LoopPool:
        """Return the pool of the running loop.

        Raises `LocalProtocolError` outside of an event loop of this adapter, and when the client is closed.
        """
        if self._closed:
            raise LocalProtocolError("the client is closed: make a new one")
        loop = self._current_loop()
        pool = self._pools.get(loop)
        if pool is None:
            for other, ended in list(self._pools.items()):
                if ended.ended and self._pools.pop(other, None) is not None:
                    ended.close()
            pool = self._pools[loop] = self._new_pool(self._network, loop)
        return pool

    async def aclose(self) -> None:
        """Close the connections; those of other loops as soon as these loops run."""
        self._current_loop()
        self._closed = True
        self._close()
        await self.sleep(0)  # let the transports close

    def _close(self) -> None:
        while self._pools:
            self._pools.popitem()[1].close()

    async def _send(self, send: Send) -> Response:
        pool = self.pool()
        lease, connection = await pool.acquire(send)
        try:
            return await connection.exchange(send)
        finally:
            pool.release(lease)

    @staticmethod
    @abstractmethod
    async def sleep(seconds: float) -> None:
        """Let `seconds` pass."""

    @staticmethod
    @abstractmethod
    def _current_loop() -> object:
        """Return the object that identifies the running event loop. Raises `LocalProtocolError` outside of one."""

    @staticmethod
    @abstractmethod
    def _new_pool(network: NetworkOptions, loop: object) -> LoopPool:
        """Return a pool for the running event loop."""


def _close_at_exit(executor: ref[LoopExecutor]) -> None:
    """Close remaining clients when the process ends, while the modules of the event loops still work."""
    alive = executor()
    if alive is not None:
        alive._close()


class LoopEventStream(AsyncEventStreamBase):
    """A stream over a connection of the event loop in which it is read."""

    _lease: Lease[LoopConnection] | None = None

    def __init__(
        self, executor: LoopExecutor, operation: Operation[RunStream], timeout: float | None, options: StreamOptions
    ) -> None:
        super().__init__(executor.context, operation, timeout, options)
        self._executor = executor
        self._pool: LoopPool | None = None
        self._connection: LoopConnection | None = None

    def __del__(self) -> None:
        if self._lease is not None and self._pool is not None:
            self._pool.release_soon(self._lease)
        super().__del__()

    async def _receive(self) -> None:
        if self._flow is not None:
            self._pool = self._executor.pool()
            await self._until_closed(super()._receive)
        else:
            await super()._receive()

    async def _exchange(self, send: Send) -> Response:
        assert self._pool is not None, "the pool is chosen before the request is sent"
        self._lease, self._connection = await self._pool.acquire(send)
        try:
            if self._closed:  # by another task, while this waited
                raise self._refusal()
            response = await self._connection.exchange(send)
        except BaseException:  # a cancellation too; it is raised again
            self._release()
            raise
        if response.stream is None:
            self._release()
        return response

    async def _read(self, machine: RunStream, timeout: float) -> None:  # noqa: ASYNC109  # as declared
        pool, connection = self._pool, self._connection
        assert pool is not None, "a stream has come over a connection"
        assert connection is not None, "a stream has come over a connection"
        if not pool.is_current():
            raise LocalProtocolError("the stream belongs to another event loop or process: start another in this one")
        await connection.receive(timeout)
        self._over = connection.finished

    async def _sleep(self, seconds: float) -> None:
        await self._executor.sleep(seconds)

    async def _end(self) -> None:
        self._over = True
        if self._pool is not None:
            if self._pool.is_current():
                self._stop_waiting()
            else:
                self._pool.call_soon(self._stop_waiting)
        try:
            if isinstance(self._connection, TransportConnection) and self._pool is not None and self._pool.is_current():
                await self._connection.aclose()
        finally:
            self._release()

    def _release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None and self._pool is not None:
            self._pool.release(lease)

    @abstractmethod
    async def _until_closed(self, work: Callable[[], Awaitable[None]]) -> None:
        """Carry out `work`, and cancel it when another task calls `_stop_waiting`."""

    @abstractmethod
    def _stop_waiting(self) -> None:
        """Cancel `_until_closed`, if it is running; called in the event loop."""


class LoopClient(NotSynchronousClient, AsyncClientBase, AsyncStreams[S]):
    """A client with separate connections for each event loop in which it is used."""

    _executor: LoopExecutor

    @property
    def chat(self) -> AsyncStreamingChat[S]:
        """Chat: `await client.chat.run_async("Hello!")`, `client.chat.stream("Hello!")`."""
        return AsyncStreamingChat(self._executor, self._new_stream)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection. The client cannot be used again."""
        await self._executor.aclose()
