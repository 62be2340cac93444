"""Carries out the core's calls on trio: sends what it says, and sleeps when it says so."""

from __future__ import annotations

import random
import time
from typing import TypeVar

import trio

from hestiaos_proto import (
    Config,
    Operation,
    Runtime,
    Send,
    TransportError,
    call_flow,
    run_flow_async,
)
from hestiaos_proto.calls import Reply
from hestiaos_trio.pool import Pools

__all__ = ["RUNTIME", "Caller"]

T = TypeVar("T")

RUNTIME = Runtime(time.monotonic, time.time, random.SystemRandom())
"""The clocks and the random numbers of this process."""


class Caller:
    """Carries out operations over kept-alive connections."""

    def __init__(self, config: Config, pools: Pools) -> None:
        self.config = config
        self.pools = pools

    async def call_async(self, operation: Operation[T]) -> T:
        """The operation's result. Raises `HestiaError`."""
        return await run_flow_async(call_flow(operation, self.config, RUNTIME), self._send, trio.sleep)

    async def _send(self, send: Send) -> Reply:
        pool = await self.pools.here()
        try:
            connection = await pool.acquire(send)
        except TransportError as error:
            return error
        try:
            return await connection.exchange(send)
        finally:
            pool.release(connection)
