"""Carries out the core's calls over httpx: sends what they say, and sleeps when they say so."""

from __future__ import annotations

from typing import TypeVar

from hestiaos_httpx._exchange import Exchange
from hestiaos_httpx._guard import sleep
from hestiaos_httpx._http_clients import HttpClients
from hestiaos_httpx._steps import run, run_async
from hestiaos_proto import CallContext, CallOptions, Operation, Response, Send, run_flow, run_flow_async

__all__ = ["Executor"]

T = TypeVar("T")


class Executor:
    """Carries out operations, either way."""

    def __init__(self, context: CallContext, http_clients: HttpClients) -> None:
        self.context = context
        self.http_clients = http_clients

    def execute(self, operation: Operation[T], options: CallOptions) -> T:
        """The operation's result. Raises `HestiaError`."""
        flow, _ = self.context.begin(operation, options)
        return run_flow(flow, self._send, self._sleep)

    async def execute_async(self, operation: Operation[T], options: CallOptions) -> T:
        """As `execute`."""
        import anyio

        flow, _ = self.context.begin(operation, options)
        return await run_flow_async(flow, self._send_async, anyio.sleep)

    def _send(self, send: Send) -> Response:
        return run(Exchange(self.http_clients.sync(), send).begin())

    async def _send_async(self, send: Send) -> Response:
        return await run_async(Exchange(self.http_clients.asynchronous(), send).begin())

    def _sleep(self, seconds: float) -> None:
        sleep(seconds, lambda: self.http_clients.closed)
