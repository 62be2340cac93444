"""How a caller reads a stream: one reader at a time, and the connection ends with the stream."""

from __future__ import annotations

import gc
import threading
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from hestiaos_proto import ConnectionLost, HestiaError, LocalProtocolError, RunStream, StreamEvent, StreamInterrupted
from hestiaos_proto.event_streams import AsyncEventStreamBase, EventStreamBase

PIECES = [b'data: {"type":"start"}\n\ndata: {"type":"token","data":{"text":"a"}}\n\n', b'data: {"type":"final"}\n\n']
END = b'data: {"type":"done"}\n\n'


class Suspended:
    """An await that stops until it is resumed, whatever the event loop."""

    def __await__(self) -> Iterator[None]:
        yield


class Reader(AsyncEventStreamBase):
    """Reads pieces that are there already; `None` is an await, an exception what the connection raises."""

    def __init__(self, *script: bytes | BaseException | None) -> None:
        super().__init__()
        self.script = list(script)
        self.ends = 0

    async def _receive(self) -> None:
        self._machine = self._machine or RunStream()
        step = self.script.pop(0) if self.script else b""
        if step is None:
            await Suspended()
        elif isinstance(step, BaseException):
            raise step
        else:
            self._machine.receive_data(step)
            self._over = not step
        self._ready = self._machine.events()

    async def _end(self) -> None:
        self._over = True
        self.ends += 1


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
    class Waiting(Reader):
        async def _receive(self) -> None:
            await Suspended()
            await super()._receive()

    reader = Waiting(outcome)
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
    """As `Reader`; `None` is a read that another thread cancels."""

    def __init__(self, *script: bytes | BaseException | None) -> None:
        super().__init__()
        self.script = list(script)
        self.ends = 0
        self.stopped = False

    @property
    def _cancelled(self) -> bool:
        return self.stopped

    def _receive(self) -> None:
        self._machine = self._machine or RunStream()
        step = self.script.pop(0) if self.script else b""
        if step is None:
            self.stopped = True
        elif isinstance(step, BaseException):
            raise step
        else:
            self._machine.receive_data(step)
            self._over = not step
        self._ready = self._machine.events()

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
        reader = SyncReader()

        class Nosy(RunStream):
            def receive_data(self, data: bytes) -> None:
                with pytest.raises(LocalProtocolError, match="is being read already: give each reader"):
                    next(reader)
                super().receive_data(data)

        reader._machine = Nosy()
        reader.script.extend(PIECES)
        assert next(reader) == StreamEvent("start")

    @pytest.mark.parametrize(
        ("outcome", "told"),
        [(PIECES[0], "is being read already"), (ConnectionLost("gone"), "gone"), (KeyboardInterrupt(), "closed")],
    )
    def test_a_second_thread_is_refused_also_where_the_first_is_done_by_then(
        self, outcome: bytes | BaseException, told: str
    ) -> None:
        reads, refused = threading.Event(), threading.Event()

        class Slow(SyncReader):
            def _receive(self) -> None:
                reads.set()
                assert refused.wait(10)
                super()._receive()

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

        Noted(*PIECES)
        gc.collect()
        assert len(ends) == 1

    def test_nothing_is_received_behind_the_end(self) -> None:
        reader = SyncReader(*PIECES, END)
        reader._end()
        assert list(reader) == []
        assert len(reader.script) == 3
