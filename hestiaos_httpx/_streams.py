"""The two streams that httpcore requires: the bytes of a connection, and the body of a response."""

from __future__ import annotations

import ssl
from types import coroutine
from typing import TYPE_CHECKING, Any, Self

from hestiaos_httpx._scopes import Steps, can_wait, run

if TYPE_CHECKING:
    from hestiaos_httpx._network import Network

__all__ = ["BodyStream", "NetworkStream"]

_ADDRESSES = {"client_addr": "getsockname", "server_addr": "getpeername"}


class NetworkStream:
    """httpcore's network stream, over `level` layers of TLS."""

    def __init__(self, network: Network, level: int) -> None:
        self._network = network
        self._level = level

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        return self._network.scope.run(self._network.receive(self._level, max_bytes))

    def write(self, buffer: bytes, timeout: float | None = None) -> Any:
        return self._network.scope.run(self._network.send(self._level, buffer, timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        return self._network.scope.run(self._network.start_tls(ssl_context, server_hostname))

    def close(self) -> None:
        self._network.close()

    async def aclose(self) -> None:
        self._network.close()

    def get_extra_info(self, info: str) -> Any:
        sock = self._network.socket
        if info == "ssl_object":
            return self._network.layers[self._level - 1].object if self._level else None
        if info == "is_readable":  # the server has closed an idle connection, or sent data without a request
            return sock is None or can_wait(sock, write=False, seconds=0)
        if sock is not None and info in _ADDRESSES:
            return getattr(sock, _ADDRESSES[info])()
        return sock if info == "socket" else None


class BodyStream:
    """Iterates over the body that `network.chunks` decodes, then over `rest`, httpcore's stream, which ends it."""

    def __init__(self, network: Network, rest: Any) -> None:
        self._network = network
        self._rest = rest
        self._pieces: Any = None

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        piece = run(self._next())
        if piece is None:
            raise StopIteration
        return piece

    @coroutine
    def __anext__(self) -> Steps[bytes]:
        piece = yield from self._next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    def _next(self) -> Steps[bytes | None]:
        if piece := (yield from self._network.receive_body()):
            return piece
        scope = self._network.scope
        if self._pieces is None:
            self._pieces = aiter(self._rest) if scope.asynchronous else iter(self._rest)
        last: bytes | None = yield from scope.call(anext if scope.asynchronous else next, self._pieces, None)
        return last

    def close(self) -> None:
        self._rest.close()

    async def aclose(self) -> None:
        await self._rest.aclose()
