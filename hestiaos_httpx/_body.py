"""A chunked body in the place of httpcore's stream of it."""

from __future__ import annotations

from types import coroutine
from typing import Any, Self

from hestiaos_httpx._network import Network
from hestiaos_httpx._scopes import Steps, run

__all__ = ["Body"]


class Body:
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
