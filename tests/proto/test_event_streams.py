"""How a caller reads a stream: one reader at a time, and the connection ends with the stream."""

from __future__ import annotations

import gc
import threading
import traceback
import weakref
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

import pytest

from hestiaos_proto import (
    CallInfo,
    ConnectFailed,
    ConnectionLost,
    HestiaError,
    Hooks,
    LocalProtocolError,
    NotFound,
    Response,
    RunStream,
    Send,
    ServerError,
    StreamEvent,
    StreamInterrupted,
    TimedOut,
)
from tests.support.flows import HookRecorder
from tests.support.scripted_streams import END, PIECES, Reader, Step, SyncReader, context


def run(work: Awaitable[Any]) -> Any:
    """What a coroutine that never waits comes to."""
    try:
        next(work.__await__())
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


async def read(reader: Reader) -> list[str]:
    return [event.type async for event in reader]


def test_the_events_come_in_their_order_and_the_connection_ends_after_them() -> None:
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
    with pytest.raises(LocalProtocolError, match="is being read already: open a separate stream"):
        next(anext(reader).__await__())
    with pytest.raises(StopIteration) as stop:
        next(first)
    assert stop.value.value == StreamEvent("start")


def test_a_second_reader_is_refused_while_a_fault_ends_the_connection() -> None:
    class Nosy(Reader):
        async def _end(self) -> None:
            with pytest.raises(HestiaError) as second:
                await anext(self)
            errors.append(second.value)

    errors: list[HestiaError] = []
    with pytest.raises(ConnectionLost):
        next(anext(Nosy(ConnectionLost("gone"))).__await__())
    assert ["is being read already" in error.message for error in errors] == [True]


@pytest.mark.parametrize("outcome", [PIECES[0], b"", ConnectionLost("gone")])
def test_a_reader_that_waits_raises_when_the_stream_is_closed(outcome: bytes | BaseException) -> None:
    reader = Reader(None, outcome)
    steps = anext(reader).__await__()
    next(steps)
    run(reader.aclose())
    with pytest.raises(LocalProtocolError, match="the stream is closed: start another") as caught:
        next(steps)
    assert caught.value.__context__ is None  # what the closing did to the connection is not shown
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


def test_nothing_is_received_after_the_end() -> None:
    reader = Reader(*PIECES, END)
    run(reader._end())
    assert run(read(reader)) == []
    assert len(reader.script) == 3


class TestSync:
    def test_the_events_come_in_their_order_and_the_connection_ends_after_them(self) -> None:
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
                with pytest.raises(LocalProtocolError, match="is being read already: open a separate stream"):
                    next(self)
                super()._read(machine, timeout)

        assert next(Nosy(*PIECES)) == StreamEvent("start")

    @pytest.mark.parametrize(
        ("outcome", "message"),
        [(PIECES[0], "is being read already"), (ConnectionLost("gone"), "gone"), (KeyboardInterrupt(), "closed")],
    )
    def test_a_second_thread_is_refused_also_where_the_first_is_done_by_then(
        self, outcome: bytes | BaseException, message: str
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
        with pytest.raises(HestiaError, match=message):
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
        assert len(ends) == 1

    def test_nothing_is_received_after_the_end(self) -> None:
        reader = SyncReader(*PIECES, END)
        reader._end()
        assert list(reader) == []
        assert len(reader.script) == 3


def take(kind: str, stream: Any) -> StreamEvent | None:
    """The next event, `None` at the end."""
    return next(stream, None) if kind == "sync" else run(anext(stream, None))


def take_all(kind: str, stream: Any) -> list[str]:
    return list(iter(lambda: getattr(take(kind, stream), "type", None), None))


def fails(kind: str, stream: Any) -> BaseException:
    """What asking for the next event raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - whatever it is
        next(stream) if kind == "sync" else next(anext(stream).__await__())
    return caught.value


def close(kind: str, stream: Any) -> None:
    stream.close() if kind == "sync" else run(stream.aclose())


READERS: dict[str, Any] = {"sync": SyncReader, "async": Reader}
both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
class TestTimes:
    @pytest.mark.parametrize(
        ("value", "error"),
        [
            (float("inf"), ValueError),
            (float("nan"), ValueError),
            (-1, ValueError),
            (0, ValueError),
            (10**400, ValueError),
            ("5", TypeError),
            (True, TypeError),
        ],
        ids=["inf", "nan", "-1", "0", "10**400", "str", "bool"],
    )
    @pytest.mark.parametrize("name", ["timeout", "deadline"])
    def test_a_wrong_one_is_refused_at_the_call(self, kind: str, name: str, value: Any, error: type[Exception]) -> None:
        for options in ({name: value}, {"timeout": 1.0, "deadline": 1.0, name: value}):
            with pytest.raises(error, match=f"^{name} must be a number of seconds"):
                READERS[kind](**options)

    @pytest.mark.parametrize(
        ("options", "left"),
        [
            ({}, 7.0),
            ({"timeout": None, "deadline": None}, 7.0),
            ({"timeout": 9.0}, 9.0),
            ({"deadline": 9.0}, 9.0),
            ({"timeout": 2.0, "deadline": 3.0}, 2.0),
            ({"timeout": 3, "deadline": 2}, 2),
        ],
        ids=str,
    )
    def test_the_smaller_of_timeout_and_deadline_bounds_the_stream(self, kind: str, options: Any, left: float) -> None:
        stream = READERS[kind](*PIECES, context=context(deadline=7.0), **options)
        take(kind, stream)
        assert stream.sends[0].deadline.left() == left

    def test_it_counts_from_the_first_event_that_is_asked_for(self, kind: str, clock) -> None:
        stream = READERS[kind](*PIECES, context=context(clock=clock), timeout=5.0)
        clock.now += 100
        take(kind, stream)
        assert stream.sends[0].deadline.left() == 5.0

    def test_a_read_may_take_the_timeout_or_what_is_left(self, kind: str, clock) -> None:
        stream = READERS[kind](PIECES[0], PIECES[1], END, context=context(clock=clock, timeout=4.0), timeout=10.0)
        take(kind, stream)
        clock.now += 7
        take(kind, stream)
        take(kind, stream)
        clock.now += 7
        take(kind, stream)
        assert stream.timeouts == [4.0, 3.0, 0.0]

    def test_what_follows_done_may_take_a_second_in_all(self, kind: str, clock) -> None:
        class Slow(READERS[kind]):
            def _step(self, **rest: Any) -> Any:
                clock.now += 0.375
                return super()._step(**rest)

        stream = Slow(*PIECES, END, b" ", b" ", context=context(clock=clock, timeout=4.0))
        assert take_all(kind, stream) == ["start", "token", "final", "done"]
        assert stream.timeouts == [4.0, 4.0, 4.0, 1.0, 0.625, 0.25]

    def test_a_timeout_ms_that_is_longer_lengthens_each_read(self, kind: str) -> None:
        stream = READERS[kind](*PIECES, timeout_ms=90_000)
        take(kind, stream)
        assert stream.timeouts == [90.0]


@both
class TestOptions:
    def test_they_are_those_of_a_call(self, kind: str) -> None:
        stream = READERS[kind](503, 503, *PIECES, retries=2, headers={"X-A": "1"}, idempotency_key="k")
        take(kind, stream)
        assert [send.request.headers["X-A"] for send in stream.sends] == ["1"] * 3
        assert [send.request.headers["Idempotency-Key"] for send in stream.sends] == ["k"] * 3

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"bogus": 1}, TypeError, r"run_stream\(\) got an unexpected keyword argument 'bogus'"),
            ({"retries": -1}, ValueError, "retries must be 0 or more"),
            ({"headers": {"Host": "x"}}, ValueError, "is the client's own"),
            ({"idempotency_key": ""}, ValueError, "the idempotency key is empty"),
            ({"hooks": print}, TypeError, "hooks must be a Hooks or None"),
        ],
        ids=str,
    )
    def test_a_wrong_one_is_refused_at_the_call(self, kind: str, options: Any, error: Any, message: str) -> None:
        with pytest.raises(error, match=message):
            READERS[kind](**options)


@both
class TestBeforeTheHead:
    def test_what_is_refused_is_repeated_after_its_wait(self, kind: str) -> None:
        stream = READERS[kind](503, ConnectFailed("refused"), *PIECES, END)
        assert stream.response is None
        assert take(kind, stream) == StreamEvent("start")
        assert (len(stream.sends), stream.waits) == (3, [0.25, 0.5])
        assert stream.response is not None
        assert (stream.response.status, stream.response.request_id) == (200, "r-200")

    def test_a_refusal_is_raised_with_its_response_and_again(self, kind: str) -> None:
        stream = READERS[kind](404)
        errors = [fails(kind, stream) for _ in range(2)]
        assert errors[0] is errors[1]
        assert isinstance(errors[0], NotFound)
        assert errors[0].response == stream.response
        assert stream.response is not None
        assert stream.response.request_id == "r-404"
        assert stream.ends == 1

    def test_a_fault_after_a_refusal_has_no_response(self, kind: str) -> None:
        stream = READERS[kind](503, ConnectionLost("reset"))
        error = fails(kind, stream)
        assert isinstance(error, ConnectionLost)
        assert (error.response, stream.response) == (None, None)

    def test_a_stream_that_is_closed_in_a_wait_sends_nothing_more(self, kind: str) -> None:
        class Closing(READERS[kind]):
            def _sleep(self, seconds: float) -> Any:
                close(kind, self)
                return super()._sleep(seconds)

        stream = Closing(503, *PIECES)
        error = fails(kind, stream)
        assert isinstance(error, LocalProtocolError)
        assert "the stream is closed: start another" in error.message
        assert len(stream.sends) == 1


def test_a_stream_that_is_cancelled_in_a_wait_sends_nothing_more() -> None:
    class Cancelling(SyncReader):
        def _sleep(self, seconds: float) -> None:
            self.stopped = True

    stream = Cancelling(503, *PIECES)
    assert list(stream) == []
    assert (len(stream.sends), stream.ends) == (1, 1)


@both
class TestStates:
    def test_its_error_has_the_streams_response(self, kind: str) -> None:
        stream = READERS[kind](PIECES[0])
        take(kind, stream)
        take(kind, stream)
        error = fails(kind, stream)
        assert isinstance(error, StreamInterrupted)
        assert error.response is not None
        assert error.response.request_id == "r-200"

    def test_raised_again_it_has_grown_by_nothing(self, kind: str) -> None:
        stream = READERS[kind](PIECES[1])
        error = fails(kind, stream)
        lengths = [len(list(traceback.walk_tb(fails(kind, stream).__traceback__))) for _ in range(5)]
        assert len(set(lengths)) == 1
        *_, (last, _) = traceback.walk_tb(error.__traceback__)
        assert last.f_code.co_name in ("__next__", "__anext__")
        assert (error.__context__, error.__cause__) == (None, None)

    def test_the_states_that_its_repr_tells(self, kind: str) -> None:
        name = READERS[kind].__name__
        stream = READERS[kind](*PIECES, END)
        assert repr(stream) == f"<{name} http://h open, 0 events>"
        take(kind, stream)
        assert repr(stream) == f"<{name} http://h open, 1 events>"
        take_all(kind, stream)
        assert repr(stream) == f"<{name} http://h over, 4 events>"
        close(kind, stream)
        assert repr(stream) == f"<{name} http://h closed, 4 events>"
        failed = READERS[kind](PIECES[1])
        fails(kind, failed)
        assert repr(failed) == f"<{name} http://h failed, 0 events>"

    def test_a_stream_that_has_not_failed_goes_without_the_collector(self, kind: str) -> None:
        """It is not part of a cycle, so that its connection ends with the last reference."""
        gc.disable()
        try:
            streams = [READERS[kind](*PIECES, END) for _ in range(4)]
            take(kind, streams[1])
            take_all(kind, streams[2])
            close(kind, streams[3])
            references = [weakref.ref(stream) for stream in streams]
            streams.clear()
            assert [reference() for reference in references] == [None] * 4
        finally:
            gc.enable()


@both
class TestHooks:
    EVENTS = ("request", "response", "event", "event", "event", "event", "end")

    def stream(self, kind: str, *script: Step, **options: Any) -> tuple[Any, HookRecorder]:
        recorder = HookRecorder()
        return READERS[kind](*script, context=context(recorder.hooks), **options), recorder

    def test_a_stream_to_its_end(self, kind: str) -> None:
        stream, recorder = self.stream(kind, *PIECES, END)
        take_all(kind, stream)
        assert recorder.names == [*self.EVENTS]
        assert [note[1] for note in recorder.notes if note[0] == "event"] == ["start", "token", "final", "done"]
        assert recorder.ends == [None]
        take_all(kind, stream)
        close(kind, stream)
        del stream
        assert len(recorder.notes) == len(self.EVENTS)

    def test_hooks_get_an_event_when_it_is_returned(self, kind: str) -> None:
        stream, recorder = self.stream(kind, *PIECES, END)
        for number in range(1, 5):
            take(kind, stream)
            assert recorder.names.count("event") == number

    def test_repeats_before_the_head(self, kind: str) -> None:
        stream, recorder = self.stream(kind, 503, ConnectFailed("x"), *PIECES, END)
        take_all(kind, stream)
        assert recorder.names == ["request", "response", "retry", "request", "retry", *self.EVENTS]

    @pytest.mark.parametrize("taken", [1, 2, 3, 4])
    def test_a_stream_that_is_closed_early(self, kind: str, taken: int) -> None:
        stream, recorder = self.stream(kind, *PIECES, END)
        for _ in range(taken):
            take(kind, stream)
        close(kind, stream)
        close(kind, stream)
        assert recorder.names == ["request", "response", *["event"] * taken, "end"]
        assert recorder.ends == [None]

    @pytest.mark.parametrize("taken", [1, 4])
    def test_a_stream_that_is_dropped(self, kind: str, taken: int) -> None:
        stream, recorder = self.stream(kind, *PIECES, END)
        for _ in range(taken):
            take(kind, stream)
        del stream
        assert recorder.names == ["request", "response", *["event"] * taken, "end"]
        assert recorder.ends == [None]

    def test_a_stream_of_which_nothing_was_asked(self, kind: str) -> None:
        for leave in (close, lambda kind, stream: None):
            stream, recorder = self.stream(kind, *PIECES)
            leave(kind, stream)
            assert (stream.sends, stream.ends) == ([], 1 if leave is close else 0)
            del stream
            assert recorder.notes == [("end", None)]

    def test_a_stream_that_fails(self, kind: str) -> None:
        stream, recorder = self.stream(kind, PIECES[0])
        take(kind, stream)
        take(kind, stream)
        error = fails(kind, stream)
        assert fails(kind, stream) is error
        assert recorder.names == ["request", "response", "event", "event", "end"]
        assert recorder.ends == [error]

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), TimedOut("x"), ZeroDivisionError()], ids=repr)
    @pytest.mark.parametrize("before", [[], [PIECES[0]]], ids=["at the head", "in the middle"])
    def test_what_a_read_raises(self, kind: str, before: list[Step], error: BaseException) -> None:
        stream, recorder = self.stream(kind, *before, error)
        for _ in range(2 * len(before)):
            take(kind, stream)
        assert fails(kind, stream) is error
        assert recorder.ends == [error]
        assert recorder.names[-1] == "end"

    def test_a_refusal(self, kind: str) -> None:
        stream, recorder = self.stream(kind, 500)
        error = fails(kind, stream)
        assert isinstance(error, ServerError)
        assert recorder.names == ["request", "response", "end"]
        assert recorder.ends == [error]

    @pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt(), ConnectionLost("x")], ids=repr)
    def test_a_hook_that_raises_ends_the_stream(self, kind: str, error: BaseException) -> None:
        def on_stream_event(call: CallInfo, event: StreamEvent) -> None:
            raise error

        stream, recorder = self.stream(kind, *PIECES, END, hooks=Hooks(on_stream_event=on_stream_event))
        assert fails(kind, stream) is error
        assert (stream.ends, recorder.ends) == (1, [error])
        assert recorder.names == ["request", "response", "event", "end"]

    def test_a_hook_that_closes_the_stream(self, kind: str) -> None:
        streams: list[Any] = []
        recorder = HookRecorder()
        closing = Hooks(on_stream_event=lambda call, event: close(kind, streams[0]))
        streams.append(READERS[kind](*PIECES, END, context=context(closing, recorder.hooks)))
        assert take(kind, streams[0]) == StreamEvent("start")
        assert recorder.names[:2] == ["request", "response"]
        assert recorder.ends == [None]
        assert recorder.names.count("end") == 1
        assert isinstance(fails(kind, streams[0]), LocalProtocolError)

    def test_hooks_get_the_end_though_closing_the_connection_fails(self, kind: str) -> None:
        class Stuck(READERS[kind]):
            def _end(self) -> Any:
                super()._end() if kind == "sync" else run(super()._end())
                raise ZeroDivisionError

        recorder = HookRecorder()
        stream = Stuck(*PIECES, context=context(recorder.hooks))
        take(kind, stream)
        with pytest.raises(ZeroDivisionError):
            stream.close() if kind == "sync" else next(stream.aclose().__await__())
        assert recorder.ends == [None]
        stream._end = lambda: None  # so that dropping it does not raise, too

    def test_the_calls_hooks_come_after_the_clients(self, kind: str) -> None:
        notes: list[Any] = []
        stream = READERS[kind](
            *PIECES, END, context=context(HookRecorder("a ", notes).hooks), hooks=HookRecorder("b ", notes).hooks
        )
        take_all(kind, stream)
        assert [what for what, *_ in notes] == [f"{who} {what}" for what in self.EVENTS for who in "ab"]


class TestHooksOfTheSync:
    @pytest.mark.parametrize("script", [[None], [PIECES[0], None]], ids=["before the head", "in the middle"])
    def test_a_cancelled_stream_has_ended_without_an_error(self, script: list[Step]) -> None:
        recorder = HookRecorder()
        stream = SyncReader(*script, context=context(recorder.hooks))
        assert len(list(stream)) == 2 * (len(script) - 1)
        assert recorder.ends == [None]
        assert recorder.names[-1] == "end"


class TestHooksOfTheAsync:
    @pytest.mark.parametrize("script", [[None], [PIECES[0], None]], ids=["before the head", "in the middle"])
    def test_a_stream_that_another_task_closes(self, script: list[Step]) -> None:
        recorder = HookRecorder()
        stream = Reader(*script, PIECES[1], context=context(recorder.hooks))
        for _ in range(2 * (len(script) - 1)):
            run(anext(stream))
        steps = anext(stream).__await__()
        next(steps)
        run(stream.aclose())
        assert recorder.ends == [None]
        with pytest.raises(LocalProtocolError, match="the stream is closed"):
            next(steps)
        assert recorder.names.count("end") == 1

    def test_a_cancelled_reader(self) -> None:
        recorder, stopped = HookRecorder(), KeyboardInterrupt()
        stream = Reader(None, context=context(recorder.hooks))
        steps = anext(stream).__await__()
        next(steps)
        with pytest.raises(KeyboardInterrupt):
            steps.throw(stopped)
        assert recorder.names == ["request", "end"]
        assert recorder.ends == [stopped]

    def test_a_reader_that_is_dropped_with_its_stream(self) -> None:
        recorder = HookRecorder()
        steps = anext(Reader(None, context=context(recorder.hooks))).__await__()
        next(steps)
        del steps
        assert recorder.names == ["request", "end"]
        assert [type(error) for error in recorder.ends] == [GeneratorExit]
