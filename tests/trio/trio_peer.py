"""A server on trio, in the same run as the client."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import trio

HEALTH = b'{"status":"ok","version":"1","uptime_seconds":1.0}'
RUN = b'{"result":"r","trace_id":"t","output":null,"mode":"ALLOW","budget":1.0,"latency_ms":1.0}'


def response(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *headers, b"", b""]) + body


class Peer:
    """A server on trio: `handle` gets each connection; it counts them."""

    def __init__(self, handle: Callable[[trio.SocketStream, int], Awaitable[None]]) -> None:
        self._handle = handle
        self.connections = 0
        self.url = ""

    async def serve(self, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        await trio.serve_listeners(self._one, [listener], task_status=task_status)

    async def _one(self, stream: trio.SocketStream) -> None:
        number, self.connections = self.connections, self.connections + 1
        async with stream:
            await self._handle(stream, number)


async def request(stream: trio.abc.ReceiveStream) -> bytes:
    """The next request, whole; `b""` where the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (piece := await stream.receive_some()):
            return b""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while len(body) < int(length[1] if length else 0):
        body += await stream.receive_some()
    return data


def with_peer(
    handle: Callable[[trio.SocketStream, int], Awaitable[None]],
    main: Callable[[Peer], Awaitable[None]],
    *,
    clock: trio.abc.Clock | None = None,
) -> Peer:
    """Run `main` beside a peer, which ends with it."""
    peer = Peer(handle)

    async def both() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(peer.serve)
            with trio.fail_after(20):
                await main(peer)
            nursery.cancel_scope.cancel()

    trio.run(both, clock=clock)
    return peer
