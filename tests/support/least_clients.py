"""The least clients that there can be over the core's bases: they answer every request themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from hestiaos_proto import (
    AsyncClientBase,
    CallContext,
    CallOptions,
    ClientBase,
    Config,
    Hooks,
    Operation,
    Response,
    Runtime,
    Send,
    run_flow,
    run_flow_async,
)
from tests.support.flows import HEALTH_RESULT, runtime, status

T = TypeVar("T")


class Executor:
    """Answers every request itself."""

    def __init__(self, context: CallContext) -> None:
        self.context = context
        self.sends: list[Send] = []

    def execute(self, operation: Operation[T], options: CallOptions) -> T:
        flow, _ = self.context.begin(operation, options)
        return run_flow(flow, self._send, lambda seconds: None)

    async def execute_async(self, operation: Operation[T], options: CallOptions) -> T:
        async def send(step: Send) -> Response:
            return self._send(step)

        async def sleep(seconds: float) -> None: ...

        flow, _ = self.context.begin(operation, options)
        return await run_flow_async(flow, send, sleep)

    def _send(self, send: Send) -> Response:
        self.sends.append(send)
        return status(200, HEALTH_RESULT)(send)


class Client(ClientBase):
    """Has both kinds of methods."""

    _environ: ClassVar[Mapping[str, str]] = {}
    _runtime: ClassVar[Runtime] = runtime()

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        *,
        deadline: float | None = None,
        headers: Mapping[str, str] | None = None,
        strict: bool = True,
        hooks: Hooks | None = None,
        ssl_context: Any = None,
        max_connections: int = 100,
    ) -> None:
        self.executor = Executor(self._configure(locals()))
        self._serve(self.executor)

    @property
    def config(self) -> Config:
        return self.executor.context.config


class AsyncClient(AsyncClientBase):
    """Has coroutines alone."""

    _environ: ClassVar[Mapping[str, str]] = {}
    _runtime: ClassVar[Runtime] = runtime()

    __init__ = Client.__init__
    config = Client.config
