"""A stream that goes on where its connection was lost: what is sent, how often, after which wait, what is raised."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from hestiaos_proto import (
    Config,
    ConnectFailed,
    ConnectionLost,
    HestiaError,
    Hooks,
    LocalProtocolError,
    RemoteProtocolError,
    Response,
    Send,
    StreamEvent,
    StreamInterrupted,
    TimedOut,
    operations,
)
from tests.support.flows import HookRecorder, runtime, status, stream_head
from tests.support.numbered_events import RUN, numbered
from tests.support.scripted_streams import Reader, Step, SyncReader, context

BLOCKS = numbered(
    ['{"type":"start"}', '{"type":"token","data":{"text":"a"}}', '{"type":"final"}', '{"type":"done"}'],
)
TYPES = ["start", "token", "final", "done"]
BEGIN, REST = b"".join(BLOCKS[:2]), b"".join(BLOCKS[2:])
GONE = ConnectionLost("gone")


def stale() -> ConnectionLost:
    error = ConnectionLost("closed while idle")
    error.stale = True
    return error


class Read:
    """What a stream with this script gave, read to its end, and its reader."""

    def __init__(self, kind: str, *script: Step, **options: Any) -> None:
        self.reader: Reader | SyncReader = (Reader if kind == "async" else SyncReader)(
            *script, **{"resume": True} | options
        )
        self.events: list[StreamEvent] = []
        self.error: HestiaError | None = None
        try:
            if isinstance(self.reader, SyncReader):
                for event in self.reader:
                    self.events.append(event)
            else:
                self._await(self._read(self.reader))
        except HestiaError as error:
            self.error = error

    @staticmethod
    def _await(work: Any) -> None:
        with pytest.raises(StopIteration):
            work.send(None)

    async def _read(self, reader: Reader) -> None:
        async for event in reader:
            self.events.append(event)

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def sent(self, name: str) -> list[str | None]:
        return [send.request.headers.get(name) for send in self.reader.sends]


@pytest.fixture(params=["sync", "async"])
def read(request: pytest.FixtureRequest) -> Callable[..., Read]:
    return lambda *script, **options: Read(request.param, *script, **options)


class TestWhatIsSent:
    @pytest.mark.parametrize("loss", [b"", GONE, TimedOut("silent")], ids=["end", "lost", "silence"])
    def test_the_same_request_with_the_last_id(self, read: Callable[..., Read], loss: Step) -> None:
        done = read(BEGIN, loss, REST)
        assert (done.types, done.error) == (TYPES, None)
        first, second = done.reader.sends
        assert (first.request.target, first.request.body) == (second.request.target, second.request.body)
        assert dict(second.request.headers) == dict(first.request.headers) | {"Last-Event-ID": f"{RUN}/1"}
        assert first.request.headers["Prefer"] == "resumable-stream"
        assert (done.reader.text, done.reader.ends, len(done.reader.waits)) == ("a", 2, 1)

    def test_three_times_in_one_stream(self, read: Callable[..., Read]) -> None:
        done = read(BLOCKS[0], b"", BLOCKS[1], GONE, BLOCKS[2], b"", BLOCKS[3])
        assert (done.types, done.error) == (TYPES, None)
        assert done.sent("Last-Event-ID") == [None, f"{RUN}/0", f"{RUN}/1", f"{RUN}/2"]
        assert len(set(done.sent("Idempotency-Key"))) == 1
        assert done.reader.waits == [0.25, 0.5, 1.0]

    def test_the_key_and_the_headers_of_the_call(self, read: Callable[..., Read]) -> None:
        done = read(
            BEGIN, b"", REST, idempotency_key="k", headers={"last-event-ID": "mine", "X-A": "1", "prefer": "wait=5"}
        )
        assert done.sent("Idempotency-Key") == ["k", "k"]
        assert done.sent("X-A") == ["1", "1"]
        assert done.sent("last-event-ID") == [None, None]  # it would be another stream's
        assert done.sent("Prefer") == ["wait=5, resumable-stream"] * 2
        assert done.sent("Last-Event-ID") == [None, f"{RUN}/1"]

    def test_a_refusal_before_the_head_is_repeated_as_ever(self, read: Callable[..., Read]) -> None:
        done = read(503, BEGIN, b"", REST)
        assert (done.types, done.error) == (TYPES, None)
        assert done.sent("Last-Event-ID") == [None, None, f"{RUN}/1"]

    def test_nothing_where_resuming_was_not_asked_for(self, read: Callable[..., Read]) -> None:
        for resume in (False, None):
            done = read(BEGIN, b"", REST, resume=resume)
            assert isinstance(done.error, StreamInterrupted)
            assert "resumed" not in str(done.error)
            assert len(done.reader.sends) == 1
            assert not {"Prefer", "Last-Event-ID"} & done.reader.sends[0].request.headers.keys()

    def test_nothing_after_done(self, read: Callable[..., Read]) -> None:
        for loss in (b"", GONE):
            done = read(BEGIN, REST, loss)
            assert (done.types, done.error, len(done.reader.sends)) == (TYPES, None, 1)

    @pytest.mark.parametrize("resume", [1, "yes"])
    def test_nothing_for_a_wrong_option(self, resume: Any) -> None:
        for kind in (Reader, SyncReader):
            with pytest.raises(TypeError, match="resume must be True or False"):
                kind(resume=resume)


class TestWhatIsRepeated:
    @pytest.mark.parametrize(
        "failures",
        [
            [429],
            [502],
            [503],
            [504],
            [ConnectFailed("refused")],
            [ConnectionLost("before the head")],
            [TimedOut("no head")],
            [503, GONE],
        ],
        ids=str,
    )
    def test_the_request_for_the_rest_is_safe_to_repeat(self, read: Callable[..., Read], failures: list[Any]) -> None:
        done = read(BEGIN, b"", *failures, REST)
        assert (done.types, done.error) == (TYPES, None)
        assert done.sent("Last-Event-ID") == [None, *[f"{RUN}/1"] * (len(failures) + 1)]

    def test_a_stale_connection_is_repeated_at_once_and_not_counted(self, read: Callable[..., Read]) -> None:
        done = read(BEGIN, b"", stale(), REST, retries=1)
        assert (done.types, done.error, done.reader.waits) == (TYPES, None, [0.25])

    @pytest.mark.parametrize("retries", [0, 1, 2])
    def test_at_most_as_often_as_the_retries(self, read: Callable[..., Read], retries: int) -> None:
        done = read(BEGIN, *[b""] * 5, retries=retries)
        assert isinstance(done.error, StreamInterrupted)
        assert (done.error.events_received, done.error.last_event) == (2, done.events[-1])
        assert len(done.reader.sends) == retries + 1

    def test_the_retries_before_the_head_count_too(self, read: Callable[..., Read]) -> None:
        done = read(503, BEGIN, b"", REST, retries=1)
        assert (done.types, len(done.reader.sends)) == (TYPES[:2], 2)
        assert isinstance(done.error, StreamInterrupted)

    def test_a_silence_without_a_repeat_left_is_itself(self, read: Callable[..., Read]) -> None:
        silence = TimedOut("silent")
        assert read(BEGIN, silence, retries=0).error is silence


class TestWhatIsRaised:
    @pytest.mark.parametrize("answer", [409, 400, 401, 403, 404, 500], ids=str)
    def test_a_server_that_cannot_go_on(self, read: Callable[..., Read], answer: int) -> None:
        done = read(BEGIN, b"", answer)
        assert type(done.error) is StreamInterrupted
        assert done.types == TYPES[:2]
        assert (done.error.events_received, done.error.last_event) == (2, done.events[-1])
        assert done.error.message.startswith("the stream was interrupted after 2 events, and cannot be resumed: [")
        assert getattr(done.error.__cause__, "status_code", None) == answer
        assert done.error.response is not None
        assert done.error.response.status == answer
        assert len(done.reader.sends) == 2

    def test_a_server_that_is_not_reached_again(self, read: Callable[..., Read]) -> None:
        done = read(BEGIN, b"", *[ConnectFailed("refused")] * 9)
        assert type(done.error) is StreamInterrupted
        assert done.error.message.endswith("cannot be resumed: [CONNECT_FAILED] refused")
        assert isinstance(done.error.__cause__, ConnectFailed)
        assert len(done.reader.sends) == 4

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b'data: {"type":"token"}\n\n', "no id"),
            (numbered(['{"type":"token"}'], first=3)[0], f"the id '{RUN}/3'"),
        ],
    )
    def test_a_rest_that_does_not_follow(self, read: Callable[..., Read], data: bytes, why: str) -> None:
        done = read(BEGIN, b"", data)
        assert type(done.error) is RemoteProtocolError
        assert done.error.message == f"an event of the stream has {why} where {RUN}/2 was expected"
        assert len(done.reader.sends) == 2

    def test_a_stream_without_ids(self, read: Callable[..., Read]) -> None:
        done = read(b'data: {"type":"start"}\n\n', b"", REST)
        assert isinstance(done.error, StreamInterrupted)
        assert "there is no event id to resume from" in done.error.message
        assert len(done.reader.sends) == 1

    def test_a_loss_before_the_first_event(self, read: Callable[..., Read]) -> None:
        done = read(BLOCKS[0][:5], b"", REST)
        assert isinstance(done.error, StreamInterrupted)
        assert done.error.events_received == 0
        assert len(done.reader.sends) == 1

    def test_a_protocol_error_of_ours_is_itself(self, read: Callable[..., Read]) -> None:
        ours = LocalProtocolError("the client was closed during the call")
        assert read(BEGIN, b"", ours).error is ours

    def test_an_exception_of_a_hook_is_itself(self, read: Callable[..., Read]) -> None:
        """A `HestiaError` too, though it is raised where a loss would be."""
        raised = StreamInterrupted("by a hook")

        def refuse(call: object, event: StreamEvent) -> None:
            raise raised

        assert read(BEGIN, REST, hooks=Hooks(on_stream_event=refuse)).error is raised


class TestDeadline:
    @pytest.mark.parametrize("options", [{"timeout": 1.2}, {"deadline": 1.2}], ids=str)
    def test_it_holds_over_all(self, options: dict[str, float]) -> None:
        """The waits are 0.25 and 0.5 seconds; the third, of 1 second, would end after the deadline."""
        now = [0.0]

        class Ticking(SyncReader):
            def _sleep(self, seconds: float) -> None:
                super()._sleep(seconds)
                now[0] += seconds

        reader = Ticking(
            BLOCKS[0], b"", BLOCKS[1], b"", b"", context=context(clock=lambda: now[0]), **options, resume=True
        )
        assert [next(reader).type, next(reader).type] == TYPES[:2]
        with pytest.raises(StreamInterrupted):
            next(reader)
        assert reader.waits == [0.25, 0.5]

    def test_after_it_the_stream_has_timed_out(self) -> None:
        now = [0.0]

        class Late(SyncReader):
            def _sleep(self, seconds: float) -> None:
                super()._sleep(seconds)
                now[0] = 10.0

        reader = Late(BEGIN, b"", REST, context=context(clock=lambda: now[0]), deadline=1.0, resume=True)
        assert [next(reader).type, next(reader).type] == TYPES[:2]
        with pytest.raises(TimedOut, match="the call took longer than its deadline of 1 s"):
            next(reader)

    def test_a_head_that_came_before_done_does_not_shorten_the_next_reads(self) -> None:
        reader = SyncReader(BEGIN, b"", REST, resume=True, context=context(timeout=7.0))
        assert len(list(reader)) == 4
        assert reader.timeouts[:3] == [7.0, 7.0, 7.0]


class TestConflict:
    """409 with `Retry-After`: the first request with this key is under way at another worker."""

    def test_it_is_waited_for(self) -> None:
        done = self.drive(status(409, retry_after="2"), stream_head)
        assert done == ([2.0], None)

    def test_without_a_time_it_ends_the_stream(self) -> None:
        waits, error = self.drive(status(409, {"error": "x", "code": "GONE", "message": "forgotten"}))
        assert waits == []
        assert type(error) is StreamInterrupted
        assert error.message.endswith("cannot be resumed: [GONE] forgotten")

    @staticmethod
    def drive(*replies: Callable[[Send], Response]) -> tuple[list[float], HestiaError | None]:
        class Replying(SyncReader):
            def _exchange(self, send: Send) -> Response:
                self.sends.append(send)
                return stream_head(send) if len(self.sends) == 1 else left.pop(0)(send)

        left = list(replies)
        reader = Replying(BEGIN, b"", REST, resume=True)
        error: HestiaError | None = None
        try:
            list(reader)
        except HestiaError as raised:
            error = raised
        assert left == []
        return reader.waits[1:], error


class TestLeaving:
    def test_a_cancel_during_the_wait_ends_the_iteration(self) -> None:
        class Stopped(SyncReader):
            def _sleep(self, seconds: float) -> None:
                self.stopped = True

        reader = Stopped(BEGIN, b"", REST, resume=True)
        assert [event.type for event in reader] == TYPES[:2]
        assert len(reader.sends) == 1

    def test_a_cancel_that_ends_the_connection_does_not_begin_another(self) -> None:
        reader = SyncReader(BEGIN, None, REST, resume=True)
        assert [event.type for event in reader] == TYPES[:2]
        assert len(reader.sends) == 1

    def test_a_close_during_the_wait_ends_the_stream(self) -> None:
        class Closed(Reader):
            async def _sleep(self, seconds: float) -> None:
                await self.aclose()

        done = Read.__new__(Read)
        done.events, reader = [], Closed(BEGIN, b"", REST, resume=True)
        with pytest.raises(LocalProtocolError, match="the stream is closed: start another") as caught:
            done._read(reader).send(None)
        assert caught.value.__context__ is None
        assert (done.types, len(reader.sends)) == (TYPES[:2], 1)

    def test_the_error_is_raised_again(self) -> None:
        reader = SyncReader(BEGIN, b"", 409, resume=True)
        assert [next(reader).type, next(reader).type] == TYPES[:2]
        errors = []
        for _ in range(2):
            with pytest.raises(StreamInterrupted) as caught:
                next(reader)
            errors.append(caught.value)
        assert errors[0] is errors[1]
        assert "failed" in repr(reader)


class TestTelling:
    def test_hooks_hear_of_a_resumption_as_of_a_repeat(self, read: Callable[..., Read]) -> None:
        recorder = HookRecorder()
        done = read(BEGIN, b"", 503, REST, hooks=recorder.hooks)
        assert done.error is None
        assert recorder.names == [
            *["request", "response", "event", "event", "retry"],
            *["request", "response", "retry"],
            *["request", "response", "event", "event", "end"],
        ]
        assert isinstance(recorder.notes[4][1], StreamInterrupted)
        assert recorder.notes[4][2] == 0.25
        assert [note[1] for note in recorder.notes if note[0] == "request"] == [0, 1, 2]
        assert recorder.notes[8][2].headers["Last-Event-ID"] == f"{RUN}/1"
        assert recorder.ends == [None]

    def test_a_log_tells_it(self, caplog: pytest.LogCaptureFixture) -> None:
        from hestiaos_proto import CallContext

        logger = logging.getLogger("hestiaos.test")
        with caplog.at_level(logging.INFO, "hestiaos.test"):
            own = CallContext(Config(base_url="http://h"), runtime(logger=logger))
            assert len(list(SyncReader(BEGIN, b"", REST, context=own, resume=True))) == 4
        (record,) = caplog.records
        assert record.getMessage().startswith("run_stream: repeated in 0.250 s, after [STREAM_INTERRUPTED] the stream")


def test_a_chat_is_resumed_as_a_run_is() -> None:
    class Chat(SyncReader):
        operation = operations.chat_stream("x")

    assert Chat.operation.route.streams
    own = context()
    call = own.call(Chat.operation, {"resume": True})
    send = next(call.flow())
    assert isinstance(send, Send)
    stream = stream_head(send).stream
    assert stream is not None
    stream.receive_data(BEGIN)
    stream.receive_data(b"")
    with pytest.raises(StreamInterrupted) as caught:
        list(stream.events())
    flow = call.resume(caught.value)
    next(flow)
    again = flow.send(None)
    assert isinstance(again, Send)
    assert again.request.headers["Last-Event-ID"] == f"{RUN}/1"
