"""A client for the platform in this process, without an HTTP layer.

It has what `hestiaos.Client` has, and does without httpx, whose import would take longer than everything else that a
`--local` command does.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar, Unpack

from hestiaos_local import LocalExchange
from hestiaos_proto import (
    CallContext,
    CallOptions,
    ClientBase,
    EventStreamBase,
    Hooks,
    Operation,
    Response,
    RunStream,
    Runtime,
    Send,
    StreamingChat,
    StreamOptions,
    operations,
    run_flow,
)

if TYPE_CHECKING:
    from hestiaos_local import Platform
    from hestiaos_proto import ModeHint

__all__ = ["LocalClient"]

T = TypeVar("T")


class LocalClient(ClientBase):
    """The client; closing it closes the platform."""

    _environ: ClassVar[Mapping[str, str]] = {}  # environment variables are for servers
    _runtime: ClassVar[Runtime] = Runtime(time.monotonic, time.time, random.SystemRandom())

    def __init__(
        self,
        platform: Platform,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 0,
        deadline: float | None = None,
        headers: Mapping[str, str] | None = None,
        hooks: Hooks | None = None,
        strict: bool = True,
    ) -> None:
        self._platform = platform
        self._executor = _Executor(self._configure(locals()), LocalExchange(platform))
        self._serve(self._executor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def chat(self) -> StreamingChat[_EventStream]:
        """Chat, streamed or whole."""
        return StreamingChat(self._executor, self._new_stream)

    def close(self) -> None:
        """Close the platform, and with it the store."""
        self._platform.close()

    def run_stream(
        self,
        input: str,
        session_id: str | None = None,
        agent_id: str | None = None,
        mode_hint: ModeHint | None = None,
        timeout_ms: int | None = None,
        timeout: float | None = None,
        **options: Unpack[StreamOptions],
    ) -> _EventStream:
        """Execute `input` and stream what happens."""
        operation = operations.run_stream(
            input, session_id=session_id, agent_id=agent_id, mode_hint=mode_hint, timeout_ms=timeout_ms
        )
        return self._new_stream(operation, timeout, options)

    def _new_stream(
        self, operation: Operation[RunStream], timeout: float | None, options: StreamOptions
    ) -> _EventStream:
        return _EventStream(self._executor, operation, timeout, options)


class _Executor:
    """Executes operations in the calling thread."""

    def __init__(self, context: CallContext, exchange: LocalExchange) -> None:
        self.context = context
        self._exchange = exchange

    def execute(self, operation: Operation[T], options: CallOptions) -> T:
        """Execute an operation. Raises `HestiaError`."""
        flow, _ = self.context.begin(operation, options)
        return run_flow(flow, self._send, time.sleep)

    async def execute_async(self, operation: Operation[T], options: CallOptions) -> T:
        """Execute like `execute`, which does not wait for anything."""
        return self.execute(operation, options)

    def begin(self, send: Send) -> tuple[Response, Iterator[bytes]]:
        """Return the head of the response, and its body."""
        status, headers, body = self._exchange.exchange(send.request)
        encoded = [(name.encode("ascii"), value.encode("ascii")) for name, value in headers]
        return send.response(status, encoded), iter(body)

    def _send(self, send: Send) -> Response:
        response, body = self.begin(send)
        for piece in (*body, b""):
            response.receive_data(piece)
        return response


class _EventStream(EventStreamBase):
    """The events of a run."""

    _body: Iterator[bytes] = iter(())

    def __init__(
        self, executor: _Executor, operation: Operation[RunStream], timeout: float | None, options: StreamOptions
    ) -> None:
        super().__init__(executor.context, operation, timeout, options)
        self._executor = executor

    @property
    def _cancelled(self) -> bool:
        return False  # nothing waits

    def _exchange(self, send: Send) -> Response:
        response, self._body = self._executor.begin(send)
        if response.stream is None:
            for piece in (*self._body, b""):
                response.receive_data(piece)
        return response

    def _read(self, machine: RunStream, timeout: float) -> None:
        piece = next(self._body, b"")
        assert self._response is not None, "a stream has come with a response"
        self._response.receive_data(piece)
        self._over = not piece

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def _end(self) -> None:
        close: Callable[[], object] = getattr(self._body, "close", lambda: None)
        close()
