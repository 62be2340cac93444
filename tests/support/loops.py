"""The clients of event loops, and a server for them that runs in the same loop, written once for asyncio and trio."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import anyio
import trio
import trio.testing
from anyio.abc import ByteReceiveStream, SocketAttribute, SocketStream
from attrs import define, frozen

from hestiaos import AsyncioClient, AsyncioEventStream, TrioClient, TrioEventStream

AnyClient = AsyncioClient | TrioClient
AnyStream = AsyncioEventStream | TrioEventStream
T = TypeVar("T")

HEALTH = b'{"status":"ok","version":"1","uptime_seconds":1.0}'
RUN = b'{"result":"r","trace_id":"t","output":null,"mode":"ALLOW","budget":1.0,"latency_ms":1.0}'
STREAM = b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {"type":"start"}\n\n'
"""A stream that has begun; it ends with the connection."""

WAITED = "the client was closed while the call waited for a connection"
STREAM_CLOSED = "the stream is closed: start another"


def response(body: bytes, *headers: bytes) -> bytes:
    """A response of status 200."""
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers, b"", b""]) + body


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


@frozen
class Binding:
    """A client, and the event loop that it is for. `foreign` is the other one, whose client is `counterpart`."""

    name: str
    client: Callable[..., Any]
    foreign: str
    counterpart: str

    def run(self, main: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """Run `main` in a new event loop."""
        if self.name == "trio":
            return trio.run(main, *args, clock=trio.testing.MockClock(rate=1.0))
        with asyncio.Runner(loop_factory=JumpingLoop) as runner:
            return runner.run(main(*args))

    def run_foreign(self, main: Callable[..., Coroutine[Any, Any, T]]) -> T:
        """Run `main` in an event loop that the client is not for."""
        return anyio.run(main, backend=self.foreign)

    def jump(self, seconds: float) -> None:
        """Put the clock of the running event loop forward."""
        if self.name == "trio":
            clock = trio.lowlevel.current_clock()
            assert isinstance(clock, trio.testing.MockClock)
            clock.jump(seconds)
        else:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, JumpingLoop)
            loop.ahead += seconds


BINDINGS = {
    "asyncio": Binding("asyncio", AsyncioClient, "trio", "TrioClient"),
    "trio": Binding("trio", TrioClient, "asyncio", "AsyncioClient"),
}


Handle = Callable[[SocketStream, int], Awaitable[None]]


@define
class Peer:
    """A server; it counts the connections, and those that have ended."""

    handle: Handle
    url: str = ""
    connections: int = 0
    ended: int = 0

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=200)
        self.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        async with listener:
            task_status.started()
            await listener.serve(self._one)

    async def _one(self, stream: SocketStream) -> None:
        number, self.connections = self.connections, self.connections + 1
        async with stream:
            try:
                await self.handle(stream, number)
            except anyio.BrokenResourceError:
                pass  # the client has reset the connection
            finally:
                self.ended += 1


def with_peer(binding: Binding, handle: Handle, main: Callable[[Peer], Awaitable[None]]) -> Peer:
    """Run `main` beside a peer, which ends with it."""
    peer = Peer(handle)

    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            await tasks.start(peer.serve)
            with anyio.fail_after(40):
                await main(peer)
            tasks.cancel_scope.cancel()

    binding.run(both)
    return peer


async def request(stream: ByteReceiveStream) -> bytes:
    """The next request, whole; `b""` where the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            data += await stream.receive()
        except anyio.EndOfStream:
            return b""
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while len(body) < int(length[1] if length else 0):
        piece = await stream.receive()
        data, body = data + piece, body + piece
    return data


async def keep_alive(stream: SocketStream, number: int) -> None:
    """Answer `health` as long as it is asked."""
    while await request(stream):
        await stream.send(response(HEALTH))


async def silent(stream: SocketStream, number: int) -> None:
    """Read requests, and say nothing."""
    while await request(stream):
        pass


async def until(done: Callable[[], bool]) -> None:
    """Wait until it is so."""
    with anyio.fail_after(30):
        while not done():  # noqa: ASYNC110  # there is nothing that tells of it
            await anyio.sleep(0.001)
