"""Transports that answer requests in the same process: the embedded platform, or a test's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from typing import Protocol

from hestiaos_proto._calls import Send
from hestiaos_proto._client_messages import Request, Response
from hestiaos_proto._errors import HestiaError, RemoteProtocolError

__all__ = ["Transport", "TransportConnection", "check_transport"]


class Transport(Protocol):
    """Answers a client's requests in its own process, as `LocalTransport` does: `transport=` of a client.

    class Canned:
        def exchange(self, request):
            return 200, [("Content-Type", "application/json")], [b'{"status": "ok", …}']
    """

    def exchange(self, request: Request, /) -> tuple[int, Iterable[tuple[str, str]], Iterable[bytes]]:
        """The status, the headers, and the body in pieces, each made when it is asked for.

        It runs in the event loop. A `HestiaError` that it or the body raises is treated as a fault of the network (for
        example `ConnectionLost`); any other exception is raised by the call.
        """
        ...


def check_transport(transport: object) -> None:
    """Raise `TypeError` if `transport` is neither a `Transport` nor `None`."""
    kind = transport if isinstance(transport, type) else type(transport)
    if transport is not None and (transport is kind or not callable(getattr(kind, "exchange", None))):
        told = f"the class {kind.__name__}" if transport is kind else f"{kind.__module__}.{kind.__name__}"
        raise TypeError(
            f"transport must be an object with a method exchange(request), as LocalTransport is, not {told}"
        )


class TransportConnection:
    """One exchange through a `Transport`, instead of a connection. `checkpoint` lets other tasks run."""

    usable = False

    def __init__(self, transport: Transport, checkpoint: Callable[[], Awaitable[object]]) -> None:
        self._transport = transport
        self._checkpoint = checkpoint
        self._response: Response | None = None
        self._body: Iterator[bytes] = iter(())

    @property
    def finished(self) -> bool:
        """As `LoopConnection.finished`."""
        response = self._response
        return response is not None and (
            response.complete or (response.stream is not None and response.stream.finished)
        )

    def keep(self) -> bool:
        """As `LoopConnection.keep`."""
        return False

    async def exchange(self, send: Send) -> Response:
        """As `LoopConnection.exchange`."""
        await self._checkpoint()
        status, headers, body = self._transport.exchange(send.request)
        self._response = response = send.response(status, map(_encode, headers))
        self._body = iter(body)
        while response.stream is None and not response.complete:
            await self.receive(send.read_timeout)
        return response

    async def receive(self, timeout: float) -> None:  # noqa: ASYNC109  # nothing is waited for
        """As `LoopConnection.receive`."""
        response = self._response
        assert response is not None, "a response is received after its head"
        await self._checkpoint()
        try:
            data = next(filter(None, self._body), b"")  # an empty piece is not the end
            response.receive_data(data)
        except HestiaError as error:
            response.connection_lost(error)

    def close(self) -> None:
        """End the body. A second time does nothing."""
        body, self._body = self._body, iter(())
        if isinstance(body, Generator):
            body.close()


def _encode(header: tuple[str, str]) -> tuple[bytes, bytes]:
    name, value = header
    try:
        return name.encode("latin-1"), value.encode("latin-1")
    except UnicodeEncodeError:
        raise RemoteProtocolError(f"the header {name!r} has a character that is not allowed there") from None
