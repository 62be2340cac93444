"""How a caller reads a stream: one reader at a time, and the connection ends with the stream."""

from __future__ import annotations

import gc
import threading
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from hestiaos_proto import (
    CallContext,
    CallOptions,
    Config,
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    Response,
    RunStream,
    Runtime,
    Send,
    StreamEvent,
    StreamInterrupted,
    operations,
)
from hestiaos_proto.event_streams import AsyncEventStreamBase, EventStreamBase

PIECES = [b'data: {"type":"start"}\n\ndata: {"type":"token","data":{"text":"a"}}\n\n', b'data: {"type":"final"}\n\n']
END = b'data: {"type":"done"}\n\n'
EVENT_STREAM = [(b"Content-Type", b"text/event-stream"), (b"X-Request-Id", b"r-1")]

Step = bytes | int | BaseException | None
"""What a connection does next: bytes arrive (`b""` is the end), a response comes with this status, it raises, or, for
`None`, it waits for somebody else."""


class Half:
    """Random numbers that are all one half."""

    def random(self) -> float:
        return 0.5

    def getrandbits(self, k: int, /) -> int:
        return 1


def context(**config: Any) -> CallContext:
    return CallContext(Config(base_url="http://h", **config), Runtime(lambda: 0.0, lambda: 0.0, Half()))


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
        **options: Any,
    ) -> None:
        super().__init__(context, operations.run_stream("x"), timeout, CallOptions(**options))
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
        data = await self._step()
        machine.receive_data(data)
        self._over = not data

    async def _step(self, *, head: bool = False) -> Any:
        while head or self.script:
            if head and (not self.script or isinstance(self.script[0], bytes)):
                return 200
            step = self.script.pop(0)
            if step is None:
                await Suspended()
            elif isinstance(step, BaseException):
                raise step
            else:
                return step
        return b""

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def _end(self) -> None:
        self._over = True
        self.ends += 1


def respond(send: Send, status: int) -> Response:
    """The response with this status, of an event stream its head, of a refusal the whole."""
    response = send.response(status, EVENT_STREAM)
    if response.stream is None:
        response.receive_data(b"")
    return response


def run(work: Awaitable[Any]) -> Any:
    """What a coroutine that never waits comes to."""
    steps = work.__await__()
    with pytest.raises(StopIteration) as stop:
        next(steps)
    return stop.value.value


async def read(reader: Reader) -> list[str]:
    return [event.type async for event in reader]


def test_the_events_come_in_their_order_and_the_connection_ends_behind_them() -> None:
    reader = Reader(*PIECES, END)
    assert (reader.text, reader.final) == ("", None)
    assert run(read(reader)) == ["start", "token", "final", "done"]
    assert (reader.text, reader.final, reader.ends) == ("a", {}, 1)
    assert run(read(reader)) == []


def test_a_fault_ends_the_connection_and_is_raised_again() -> None:
    reader = Reader(PIECES[0])
    assert [run(anext(reader)).type for _ in range(2)] == ["start", "token"]
    for _ in range(2):
        with pytest.raises(StreamInterrupted):
            next(anext(reader).__await__())
        assert reader.ends == 1


def test_an_exception_of_the_connection_is_raised_again_too() -> None:
    reader = Reader(ConnectionLost("gone"))
    for _ in range(2):
        with pytest.raises(ConnectionLost, match="gone"):
            next(anext(reader).__await__())


def test_a_cancellation_ends_the_connection_and_closes_the_stream() -> None:
    reader = Reader(PIECES[0], None, END)
    assert run(anext(reader)) == StreamEvent("start")
    assert run(anext(reader)).type == "token"
    steps = anext(reader).__await__()
    next(steps)
    with pytest.raises(KeyboardInterrupt):
        steps.throw(KeyboardInterrupt())
    assert reader.ends == 1
    with pytest.raises(LocalProtocolError, match="the stream is closed: start another"):
        next(anext(reader).__await__())


def test_a_second_reader_is_refused_and_the_first_goes_on() -> None:
    reader = Reader(None, *PIECES)
    first = anext(reader).__await__()
    next(first)
    with pytest.raises(LocalProtocolError, match="is being read already: give each reader"):
        next(anext(reader).__await__())
    with pytest.raises(StopIteration) as stop:
        next(first)
    assert stop.value.value == StreamEvent("start")


def test_a_second_reader_is_refused_while_a_fault_ends_the_connection() -> None:
    class Nosy(Reader):
        async def _end(self) -> None:
            with pytest.raises(HestiaError) as second:
                await anext(self)
            told.append(second.value)

    told: list[HestiaError] = []
    with pytest.raises(ConnectionLost):
        next(anext(Nosy(ConnectionLost("gone"))).__await__())
    assert ["is being read already" in error.message for error in told] == [True]


@pytest.mark.parametrize("outcome", [PIECES[0], b"", ConnectionLost("gone")])
def test_one_who_waits_is_told_that_the_stream_was_closed_meanwhile(outcome: bytes | BaseException) -> None:
    reader = Reader(None, outcome)
    steps = anext(reader).__await__()
    next(steps)
    run(reader.aclose())
    with pytest.raises(LocalProtocolError, match="the stream is closed: start another") as told:
        next(steps)
    assert told.value.__context__ is None  # whatever the closing did to the connection is nobody's concern
    with pytest.raises(LocalProtocolError, match="the stream is closed"):
        next(anext(reader).__await__())


def test_leaving_the_block_ends_the_connection() -> None:
    reader = Reader(*PIECES)

    async def one() -> StreamEvent:
        async with reader as stream:
            assert stream is reader
            return await anext(stream)

    assert run(one()) == StreamEvent("start")
    assert reader.ends == 1
    with pytest.raises(LocalProtocolError, match="closed"):
        next(anext(reader).__await__())


def test_nothing_is_received_behind_the_end() -> None:
    reader = Reader(*PIECES, END)
    run(reader._end())
    assert run(read(reader)) == []
    assert len(reader.script) == 3


class SyncReader(EventStreamBase):
    """As `Reader`; at `None` another thread cancels it."""

    def __init__(
        self,
        *script: Step,
        context: CallContext = context(),  # noqa: B008 - it holds nothing that changes
        timeout: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(context, operations.run_stream("x"), timeout, CallOptions(**options))
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
        data = self._step()
        machine.receive_data(data)
        self._over = not data

    def _step(self, *, head: bool = False) -> Any:
        while head or self.script:
            if head and (not self.script or isinstance(self.script[0], bytes)):
                return 200
            step = self.script.pop(0)
            if step is None:
                self.stopped = True
                raise ConnectionLost("cancelled")
            if isinstance(step, BaseException):
                raise step
            return step
        return b""

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def _end(self) -> None:
        self._over = True
        self.ends += 1


class TestSync:
    def test_the_events_come_in_their_order_and_the_connection_ends_behind_them(self) -> None:
        reader = SyncReader(*PIECES, END)
        assert (reader.text, reader.final) == ("", None)
        assert [event.type for event in reader] == ["start", "token", "final", "done"]
        assert (reader.text, reader.final, reader.ends) == ("a", {}, 1)
        assert list(reader) == []

    def test_a_fault_ends_the_connection_and_is_raised_again(self) -> None:
        reader = SyncReader(PIECES[0])
        assert [next(reader).type for _ in range(2)] == ["start", "token"]
        for _ in range(2):
            with pytest.raises(StreamInterrupted):
                next(reader)
            assert reader.ends == 1

    def test_an_exception_of_the_connection_is_raised_again_too(self) -> None:
        reader = SyncReader(ConnectionLost("gone"))
        for _ in range(2):
            with pytest.raises(ConnectionLost, match="gone"):
                next(reader)

    def test_ctrl_c_ends_the_connection_and_closes_the_stream(self) -> None:
        reader = SyncReader(PIECES[0], KeyboardInterrupt(), END)
        assert [next(reader).type for _ in range(2)] == ["start", "token"]
        with pytest.raises(KeyboardInterrupt):
            next(reader)
        assert reader.ends == 1
        with pytest.raises(LocalProtocolError, match="the stream is closed: start another"):
            next(reader)

    def test_a_cancellation_ends_the_iteration_without_an_error(self) -> None:
        reader = SyncReader(PIECES[0], None, END)
        assert [event.type for event in reader] == ["start", "token"]
        assert reader.ends == 1
        assert list(reader) == []
        assert reader.script == [END]

    def test_what_has_arrived_is_not_handed_out_once_it_is_cancelled(self) -> None:
        reader = SyncReader(PIECES[0])
        assert next(reader) == StreamEvent("start")
        reader.stopped = True
        assert list(reader) == []

    def test_a_second_reader_is_refused_and_the_first_goes_on(self) -> None:
        class Nosy(SyncReader):
            def _read(self, machine: RunStream, timeout: float) -> None:
                with pytest.raises(LocalProtocolError, match="is being read already: give each reader"):
                    next(self)
                super()._read(machine, timeout)

        assert next(Nosy(*PIECES)) == StreamEvent("start")

    @pytest.mark.parametrize(
        ("outcome", "told"),
        [(PIECES[0], "is being read already"), (ConnectionLost("gone"), "gone"), (KeyboardInterrupt(), "closed")],
    )
    def test_a_second_thread_is_refused_also_where_the_first_is_done_by_then(
        self, outcome: bytes | BaseException, told: str
    ) -> None:
        reads, refused = threading.Event(), threading.Event()

        class Slow(SyncReader):
            def _exchange(self, send: Send) -> Response:
                reads.set()
                assert refused.wait(10)
                return super()._exchange(send)

            def _refusal(self) -> HestiaError:
                refused.set()
                first.join()
                return super()._refusal()

        def read() -> None:
            with suppress(KeyboardInterrupt, ConnectionLost):
                next(reader)

        reader = Slow(outcome)
        first = threading.Thread(target=read)
        first.start()
        assert reads.wait(10)
        with pytest.raises(HestiaError, match=told):
            next(reader)

    def test_leaving_the_block_ends_the_connection(self) -> None:
        reader = SyncReader(*PIECES)
        with reader as stream:
            assert stream is reader
            assert next(stream) == StreamEvent("start")
        assert reader.ends == 1
        with pytest.raises(LocalProtocolError, match="closed"):
            next(reader)

    def test_a_dropped_stream_ends_the_connection(self) -> None:
        ends: list[SyncReader] = []

        class Noted(SyncReader):
            def _end(self) -> None:
                ends.append(self)

        assert next(Noted(*PIECES)) == StreamEvent("start")
        gc.collect()
        assert len(ends) == 1

    def test_nothing_is_received_behind_the_end(self) -> None:
        reader = SyncReader(*PIECES, END)
        reader._end()
        assert list(reader) == []
        assert len(reader.script) == 3
