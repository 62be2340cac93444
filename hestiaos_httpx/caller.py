"""Carries out the core's calls: sends what it says, and sleeps when it says so."""

from __future__ import annotations

import random
import time
from typing import TypeVar

import httpx

from hestiaos_httpx.cancelling import Canceller
from hestiaos_httpx.exchange import AsyncExchange, Exchange
from hestiaos_httpx.lines import Line
from hestiaos_httpx.pools import Pools
from hestiaos_proto import (
    Config,
    Operation,
    Response,
    Runtime,
    Send,
    TransportError,
    call_flow,
    run_flow,
    run_flow_async,
)
from hestiaos_proto.calls import Reply

__all__ = ["RUNTIME", "Caller"]

T = TypeVar("T")

RUNTIME = Runtime(time.monotonic, time.time, random.SystemRandom())
"""The clocks and the random numbers of this process."""


class Caller:
    """Carries out operations over httpx, either way."""

    def __init__(self, config: Config, pools: Pools) -> None:
        self.config = config
        self.pools = pools

    def call(self, operation: Operation[T]) -> T:
        """The operation's result. Raises `HestiaError`."""
        return run_flow(call_flow(operation, self.config, RUNTIME), self._send, time.sleep)

    async def call_async(self, operation: Operation[T]) -> T:
        """The operation's result. Raises `HestiaError`."""
        from anyio import sleep

        return await run_flow_async(call_flow(operation, self.config, RUNTIME), self._send_async, sleep)

    def _send(self, send: Send) -> Reply:
        try:
            line = self.pools.take_line(send)
        except TransportError as error:
            return error
        try:
            return Exchange.begin(line, send).finish() if send.deadline.left() is None else _by_deadline(line, send)
        except TransportError as error:
            return error
        finally:
            self.pools.give_back(line)

    async def _send_async(self, send: Send) -> Reply:
        from anyio import move_on_after

        try:
            with move_on_after(send.deadline.left()):
                exchange = await AsyncExchange.begin(await self.pools.async_lines(), send)
                return await exchange.finish()
        except TransportError as error:
            return error
        raise send.deadline.expired_error()


def _by_deadline(line: Line[httpx.Client], send: Send) -> Response:
    """The exchange, ended when its deadline has passed: httpx bounds each read, however many there are."""
    canceller = Canceller()
    canceller.watch(None, send.deadline)
    try:
        canceller.attach(line.network)
        return Exchange.begin(line, send, canceller.trace).finish()
    finally:
        canceller.stop()
