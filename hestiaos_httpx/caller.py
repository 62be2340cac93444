"""Drives the core's calls: two small loops that send what it says and sleep when it says so."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hestiaos_httpx.exchange import AsyncExchange, Exchange
from hestiaos_httpx.pools import Pools
from hestiaos_proto import Ambient, Config, Operation, Send, Steps, TransportError, Wait, call
from hestiaos_proto.calls import Reply

__all__ = ["Caller", "drive", "drive_async"]

T = TypeVar("T")

AMBIENT = Ambient(time.monotonic, time.time, random.SystemRandom())


def drive(steps: Steps[T], send: Callable[[Send], Reply], sleep: Callable[[float], None] = time.sleep) -> T:
    """Carry a call out to its result."""
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                sleep(step.seconds)
                step = steps.send(None)
            else:
                step = steps.send(send(step))
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_async(steps: Steps[T], send: Callable[[Send], Awaitable[Reply]]) -> T:
    """As `drive`."""
    from anyio import sleep

    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                await sleep(step.seconds)
                step = steps.send(None)
            else:
                step = steps.send(await send(step))
    except StopIteration as end:
        result: T = end.value
        return result


class Caller:
    """Carries out operations over httpx, either way."""

    def __init__(self, config: Config, pools: Pools) -> None:
        self.config = config
        self.pools = pools

    def call(self, operation: Operation[T]) -> T:
        """The operation's result. Raises `HestiaError`."""
        return drive(call(operation, self.config, AMBIENT), self._send)

    async def call_async(self, operation: Operation[T]) -> T:
        """The operation's result. Raises `HestiaError`."""
        return await drive_async(call(operation, self.config, AMBIENT), self._send_async)

    def _send(self, send: Send) -> Reply:
        try:
            return Exchange.begin(self.pools.sync_client(), send).finish()
        except TransportError as error:
            return error

    async def _send_async(self, send: Send) -> Reply:
        from anyio import move_on_after

        try:
            with move_on_after(send.deadline.left()):
                exchange = await AsyncExchange.begin(await self.pools.async_client(), send)
                return await exchange.finish()
        except TransportError as error:
            return error
        raise send.deadline.passed()
