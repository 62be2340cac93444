"""Transports that answer requests in the same process: the embedded platform, or a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

from hestiaos_proto._client_messages import Request, Response
from hestiaos_proto._errors import HestiaError, LocalProtocolError, RemoteProtocolError
from hestiaos_proto._steps import Send

__all__ = ["AsyncTransport", "Transport", "TransportConnection", "check_transport"]

T = TypeVar("T")


class Transport(Protocol):
    """Answers a client's requests in its own process, as `LocalTransport` does: `transport=` of a client.

    class Canned:
        def exchange(self, request):
            return 200, [("Content-Type", "application/json")], [b'{"status": "ok", …}']
    """

    def exchange(self, request: Request, /) -> tuple[int, Iterable[tuple[str, str]], Iterable[bytes]]:
        """Send a request. Return the status, the headers, and the body, whose pieces are produced on demand.

        It runs in the event loop, which it must not block: a transport that waits is an `AsyncTransport`. A
        `HestiaError` that it or the body raises is treated as a fault of the network (for example `ConnectionLost`);
        any other exception is raised by the call.
        """
        ...


@runtime_checkable
class AsyncTransport(Protocol):
    """As `Transport`, for answers that are waited for. An object that has both methods is awaited in event loops.

    class Slow:
        async def exchange_async(self, request):
            await anyio.sleep(1)
            return 200, [("Content-Type", "application/json")], [b'{"status": "ok", …}']
    """

    async def exchange_async(
        self, request: Request, /
    ) -> tuple[int, Iterable[tuple[str, str]], Iterable[bytes] | AsyncIterator[bytes]]:
        """Send a request, like `Transport.exchange`.

        It is cancelled if the call ends early or times out, and so is the body. A body that is abandoned between two
        pieces is closed by `aclose`, if it has that method.
        """
        ...


def check_transport(transport: object) -> None:
    """Raise `TypeError` if `transport` is neither a `Transport` nor `None`."""
    kind = transport if isinstance(transport, type) else type(transport)
    methods = (getattr(kind, "exchange", None), getattr(kind, "exchange_async", None))
    if transport is not None and (transport is kind or not any(map(callable, methods))):
        given = f"the class {kind.__name__}" if transport is kind else f"{kind.__module__}.{kind.__name__}"
        raise TypeError(
            f"transport must be an object with a method exchange(request), as LocalTransport is, not {given}"
        )


class TransportConnection:
    """One exchange through a transport, instead of a connection, in an event loop.

    `checkpoint` lets other tasks run. `within` awaits a function for at most this many seconds; `None` is the result if
    it takes longer, or is cancelled by what `within` adds to a set meanwhile. `spawn` awaits one in a separate task.
    """

    usable = False

    def __init__(
        self,
        transport: Transport | AsyncTransport,
        checkpoint: Callable[[], Awaitable[object]],
        within: Callable[[float, set[Callable[[], object]], Callable[[], Awaitable[Any]]], Awaitable[Any]],
        spawn: Callable[[Callable[[], Awaitable[object]]], object],
    ) -> None:
        self._transport = transport
        self._checkpoint = checkpoint
        self._within = within
        self._spawn = spawn
        self._send: Send | None = None
        self._response: Response | None = None
        self._body: Iterator[bytes] | AsyncIterator[bytes] = iter(())
        self._cancels: set[Callable[[], object]] = set()
        """Cancel the current wait."""
        self._closed = False

    @property
    def finished(self) -> bool:
        """As `LoopConnection.finished`."""
        response = self._response
        return response is not None and (
            response.complete or (response.stream is not None and response.stream.finished)
        )

    def keep(self) -> bool:
        """See `LoopConnection.keep`."""
        return False

    async def exchange(self, send: Send) -> Response:
        """See `LoopConnection.exchange`."""
        await self._checkpoint()
        self._send = send
        body: Iterable[bytes] | AsyncIterator[bytes]
        if isinstance(self._transport, AsyncTransport):
            exchange = partial(self._transport.exchange_async, send.request)
            status, headers, body = await self._wait(send.read_timeout, exchange)
        else:
            status, headers, body = self._transport.exchange(send.request)
        self._body = body if isinstance(body, AsyncIterator) else iter(body)
        self._response = response = send.response(status, map(_encode, headers))
        while response.stream is None and not response.complete:
            await self.receive(send.read_timeout)
        return response

    async def receive(self, timeout: float) -> None:  # noqa: ASYNC109  # the adapter enforces it
        """See `LoopConnection.receive`."""
        response, body = self._response, self._body
        assert response is not None, "a response is received after its head"
        await self._checkpoint()
        try:
            if isinstance(body, AsyncIterator):
                data = await self._wait(timeout, partial(_next_piece, body))
            else:
                data = next(filter(None, body), b"")  # an empty piece is not the end
            response.receive_data(data)
        except HestiaError as error:
            response.connection_lost(error)

    def close(self) -> None:
        """Cancel the current wait, and end the body. Closing it again does nothing."""
        self._closed = True
        for cancel in list(self._cancels):
            cancel()
        body, self._body = self._body, iter(())
        if isinstance(body, Generator):
            body.close()
        elif (aclose := getattr(body, "aclose", None)) is not None and not self._cancels:
            self._spawn(aclose)

    async def aclose(self) -> None:
        """Close like `close`. A body that is not being waited for has ended afterwards."""
        if not self._cancels and (aclose := getattr(self._body, "aclose", None)) is not None:
            self._body = iter(())
            await aclose()
        self.close()

    async def _wait(self, seconds: float, function: Callable[[], Awaitable[T]]) -> T:
        send = self._send
        assert send is not None, "an answer is waited for after its request"
        result: T | None = await self._within(send.deadline.bound(seconds), self._cancels, function)
        if result is not None:
            return result
        if self._closed:
            raise LocalProtocolError("the client was closed during the call")
        raise send.deadline.timeout_error("the transport answered nothing for too long")


async def _next_piece(body: AsyncIterator[bytes]) -> bytes:
    async for piece in body:
        if piece:  # an empty one is not the end
            return piece
    return b""


def _encode(header: tuple[str, str]) -> tuple[bytes, bytes]:
    name, value = header
    try:
        return name.encode("latin-1"), value.encode("latin-1")
    except UnicodeEncodeError:
        raise RemoteProtocolError(f"the header {name!r} has a character that is not allowed there") from None
