"""Streams that read what a script says, without a connection and an event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hestiaos_proto import (
    AsyncEventStreamBase,
    CallContext,
    Config,
    ConnectionLost,
    EventStreamBase,
    Hooks,
    Response,
    RunStream,
    Send,
    StreamOptions,
    TransportError,
    operations,
)
from tests.support.flows import EVENT_STREAM, runtime

PIECES = [b'data: {"type":"start"}\n\ndata: {"type":"token","data":{"text":"a"}}\n\n', b'data: {"type":"final"}\n\n']
END = b'data: {"type":"done"}\n\n'
Step = bytes | int | BaseException | None
"""What a connection does next: bytes arrive (`b""` is the end), a response comes with this status, it raises, or, for
`None`, it waits for somebody else."""


def context(*hooks: Hooks, clock: Callable[[], float] = lambda: 0.0, **config: Any) -> CallContext:
    return CallContext(Config(base_url="http://h", **config), runtime(clock), hooks)


class Suspended:
    """An await that stops until it is resumed, whatever the event loop."""

    def __await__(self) -> Iterator[None]:
        yield


class Reader(AsyncEventStreamBase):
    """Reads what its script says; the response's head comes first, 200, where it says nothing of it."""

    def __init__(
        self,
        *script: Step,
        context: CallContext = context(),  # noqa: B008 - it holds nothing that changes
        timeout: float | None = None,
        timeout_ms: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(context, operations.run_stream("x", timeout_ms=timeout_ms), timeout, StreamOptions(**options))
        self.script = list(script)
        self.sends: list[Send] = []
        self.waits: list[float] = []
        self.timeouts: list[float] = []
        self.ends = 0

    async def _exchange(self, send: Send) -> Response:
        self.sends.append(send)
        return respond(send, await self._step(head=True))

    async def _read(self, machine: RunStream, timeout: float) -> None:  # noqa: ASYNC109 - it is only noted
        self.timeouts.append(timeout)
        try:
            data = await self._step()
        except TransportError as error:
            machine.connection_lost(error)
            self._over = True
            return
        machine.receive_data(data)
        self._over = not data

    async def _step(self, *, head: bool = False) -> Any:
        while head or self.script:
            if head and (not self.script or isinstance(self.script[0], bytes)):
                return 200
            if isinstance(self.script[0], BaseException):
                raise self.script.pop(0)  # a name for it would be a cycle, which keeps the stream
            step = self.script.pop(0)
            if step is not None:
                return step
            await Suspended()
        return b""

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def _end(self) -> None:
        self._over = True
        self.ends += 1


def respond(send: Send, status: int) -> Response:
    """The response with this status, of an event stream its head, of a refusal the whole."""
    response = send.response(status, [*EVENT_STREAM, (b"X-Request-Id", f"r-{status}".encode())])
    if response.stream is None:
        response.receive_data(b"")
    return response


class SyncReader(EventStreamBase):
    """As `Reader`; at `None` another thread cancels it."""

    def __init__(
        self,
        *script: Step,
        context: CallContext = context(),  # noqa: B008 - it holds nothing that changes
        timeout: float | None = None,
        timeout_ms: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(context, operations.run_stream("x", timeout_ms=timeout_ms), timeout, StreamOptions(**options))
        self.script = list(script)
        self.sends: list[Send] = []
        self.waits: list[float] = []
        self.timeouts: list[float] = []
        self.ends = 0
        self.stopped = False

    @property
    def _cancelled(self) -> bool:
        return self.stopped

    def _exchange(self, send: Send) -> Response:
        self.sends.append(send)
        return respond(send, self._step(head=True))

    def _read(self, machine: RunStream, timeout: float) -> None:
        self.timeouts.append(timeout)
        try:
            data = self._step()
        except TransportError as error:
            machine.connection_lost(error)
            self._over = True
            return
        machine.receive_data(data)
        self._over = not data

    def _step(self, *, head: bool = False) -> Any:
        while head or self.script:
            if head and (not self.script or isinstance(self.script[0], bytes)):
                return 200
            if isinstance(self.script[0], BaseException):
                raise self.script.pop(0)
            step = self.script.pop(0)
            if step is None:
                self.stopped = True
                raise ConnectionLost("cancelled")
            return step
        return b""

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def _end(self) -> None:
        self._over = True
        self.ends += 1
