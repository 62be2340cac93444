"""Carries out the core's calls on trio: sends what it says, and sleeps when it says so."""

from __future__ import annotations

import random
import time
from typing import TypeVar

import trio

from hestiaos_proto import (
    Ambient,
    Config,
    LocalProtocolError,
    Operation,
    Send,
    TransportError,
    call,
    drive_async,
)
from hestiaos_proto.calls import Reply
from hestiaos_trio.pool import Pool

__all__ = ["AMBIENT", "Caller", "check_trio"]

T = TypeVar("T")

AMBIENT = Ambient(time.monotonic, time.time, random.SystemRandom())
"""The clocks and the random numbers of this process."""


def check_trio() -> None:
    """Raise `LocalProtocolError` where no trio runs."""
    if not trio.lowlevel.in_trio_run():
        raise LocalProtocolError(
            "TrioClient works under trio only: for asyncio there is AsyncClient, for scripts Client"
        )


class Caller:
    """Carries out operations over a pool of connections."""

    def __init__(self, config: Config, pool: Pool) -> None:
        self.config = config
        self.pool = pool

    async def call_async(self, operation: Operation[T]) -> T:
        """The operation's result. Raises `HestiaError`."""
        check_trio()
        return await drive_async(call(operation, self.config, AMBIENT), self._send, trio.sleep)

    async def _send(self, send: Send) -> Reply:
        try:
            connection = await self.pool.acquire(send)
        except TransportError as error:
            return error
        try:
            await connection.begin(send)
            return await connection.finish(send)
        finally:
            self.pool.release(connection)
