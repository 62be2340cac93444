"""A run's event stream: every way in which it ends, what is kept of it, its limits, and every cut."""

from __future__ import annotations

import tracemalloc
from itertools import chain

import pytest

from hestiaos_proto import (
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
    RunStream,
    StreamEvent,
    StreamInterrupted,
    TimedOut,
)
from tests.support.run_streams import DONE, FINAL, GOOD, GOOD_TYPES, START, TOKEN, fault_of, feed, frames, whole

# Lines that a server may send and that are not part of an event.
IDLE_LINES = [b"", b":", b": heartbeat", b"event: x", b"id: 7", b"retry: 5", b"data:", b"data: \t", b"data", b"other"]


class TestEnd:
    """`done`, and every other end."""

    @pytest.mark.parametrize(
        ("data", "count", "message"),
        [
            (b"", 0, "where start was expected"),
            (b": heartbeat\n\n", 0, "where start was expected"),
            (START, 1, "where token, delta, tool_call, final or error was expected"),
            (START + TOKEN, 2, "where token, delta, tool_call, final or error was expected"),
            (START + FINAL, 2, "where done was expected"),
            (START + b'data: {"type":"to', 1, "inside an event"),
            (START + b'data: {"type":"token"', 1, "inside an event"),
            (START + b'data: {"type":"token","data":{"text":"\xe2\x82', 1, "inside an event"),
            (START + b'data: {"type":"token","data":{"text":"\\', 1, "inside an event"),
            (START + b'data: {"type":"token","data":{"text":"\\u20', 1, "inside an event"),
            (START + b'data: {"type":"token","data":{"n":tr', 1, "inside an event"),
            (START + b'data: {"type":"token","data":{"n":1.', 1, "inside an event"),
            (START + b'data: {"type":"token",\n', 1, "inside an event"),
            (START + b"data", 1, "expected"),
            (START + b"data: ", 1, "expected"),
        ],
        ids=lambda value: value.decode("latin-1") if isinstance(value, bytes) else None,
    )
    def test_ended_before_done(self, data: bytes, count: int, message: str) -> None:
        stream = RunStream()
        events, fault = feed(stream, [data, b""])
        assert isinstance(fault, StreamInterrupted)
        assert message in fault.message
        assert f"after {count} events" in fault.message
        assert fault.events_received == stream.events_received == len(events) == count
        assert fault.last_event == (events[-1] if events else None)
        assert fault.__cause__ is None

    def test_wherever_a_good_stream_is_cut_off_its_whole_events_arrive_before_the_error(self) -> None:
        ends = [i for i in range(len(GOOD)) if GOOD[i : i + 1] == b"}" and GOOD[i + 1 : i + 2] == b"\n"]
        for cut in range(len(GOOD)):
            events, fault = feed(RunStream(), [GOOD[:cut], b""])
            assert len(events) == sum(end < cut for end in ends)
            assert isinstance(fault, StreamInterrupted) == (len(events) < 4)

    def test_not_strict_reports_a_cut_stream_too(self) -> None:
        delivered, fault = fault_of(TOKEN + TOKEN, strict=False)
        assert delivered == 2
        assert isinstance(fault, StreamInterrupted)

    def test_without_strict_done_alone_is_enough(self) -> None:
        assert [event.type for event in whole(DONE + TOKEN, strict=False)] == ["done", "token"]

    def test_a_payload_cut_after_done_is_an_error(self) -> None:
        delivered, fault = fault_of(GOOD + b'data: {"type":')
        assert delivered == 4
        assert "ends inside a payload after 'done'" in str(fault)

    def test_a_lost_connection_is_an_interrupted_stream_with_its_cause(self) -> None:
        stream, lost = RunStream(), ConnectionLost("reset")
        stream.receive_data(START + TOKEN + b'data: {"type":"fin')
        stream.connection_lost(lost)
        events = stream.events()
        assert [next(events).type, next(events).type] == ["start", "token"]
        with pytest.raises(StreamInterrupted) as caught:
            next(events)
        assert caught.value.__cause__ is lost
        assert caught.value.events_received == 2
        assert caught.value.last_event == StreamEvent("token", {"text": "a"})

    @pytest.mark.parametrize(
        "fault", [TimedOut("slow"), RemoteProtocolError("bad chunk"), LocalProtocolError("closed")]
    )
    def test_any_other_fault_is_raised_as_it_is_after_the_events(self, fault: HestiaError) -> None:
        stream = RunStream()
        stream.receive_data(START + TOKEN)
        stream.connection_lost(fault)
        events = stream.events()
        assert [next(events).type, next(events).type] == ["start", "token"]
        with pytest.raises(HestiaError) as caught:
            next(events)
        assert caught.value is fault
        with pytest.raises(HestiaError) as again:
            list(stream.events())
        assert again.value is fault

    @pytest.mark.parametrize("fault", [ConnectionLost("reset"), TimedOut("slow"), RemoteProtocolError("bad chunk")])
    def test_after_done_no_fault_is_raised_for_nothing_is_missing(self, fault: HestiaError) -> None:
        stream = RunStream()
        stream.receive_data(GOOD)
        stream.connection_lost(fault)
        assert [event.type for event in stream.events()] == GOOD_TYPES
        assert list(stream.events()) == []
        assert stream.finished

    def test_the_first_fault_is_the_one_that_counts(self) -> None:
        stream, first = RunStream(), TimedOut("slow")
        stream.connection_lost(first)
        stream.connection_lost(LocalProtocolError("a consequence"))
        with pytest.raises(TimedOut) as caught:
            list(stream.events())
        assert caught.value is first

    def test_a_line_that_was_cut_by_the_fault_is_delivered_where_its_object_is_complete(self) -> None:
        stream = RunStream()
        stream.receive_data(START + TOKEN + FINAL + DONE.rstrip())
        stream.connection_lost(ConnectionLost("reset"))
        assert [event.type for event in stream.events()] == GOOD_TYPES

    @pytest.mark.parametrize("data", [b"x", b""], ids=["data", "the end"])
    def test_nothing_is_received_after_the_end(self, data: bytes) -> None:
        stream = RunStream()
        stream.receive_data(b"")
        with pytest.raises(LocalProtocolError, match="after the end of the stream"):
            stream.receive_data(data)


class TestFinished:
    """Whether an adapter has to read on."""

    def test_done_alone_is_not_the_end(self) -> None:
        stream = RunStream()
        feed(stream, [GOOD])
        assert not stream.finished

    def test_done_and_the_end(self) -> None:
        stream = RunStream()
        feed(stream, [GOOD, b""])
        assert stream.finished

    @pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=repr)
    @pytest.mark.parametrize("line", IDLE_LINES, ids=repr)
    @pytest.mark.parametrize("block", [GOOD[:-1], GOOD], ids=["in the block of done", "after it"])
    def test_a_server_that_goes_on_after_done(self, block: bytes, line: bytes, end: bytes) -> None:
        """The stream is finished as soon as the first line has ended that is not part of an event."""
        stream = RunStream()
        feed(stream, [GOOD if not line else block, *([line] if line else [])])
        assert not stream.finished
        feed(stream, [end])
        assert stream.finished
        stream = RunStream()
        feed(stream, [GOOD + line + end + TOKEN[:9]])
        assert stream.finished

    @pytest.mark.parametrize("pieces", [[FINAL, DONE], [FINAL + DONE]], ids=["alone", "with another"])
    def test_the_blank_line_of_an_earlier_event_that_had_none_is_not_waited_for(self, pieces: list[bytes]) -> None:
        stream = RunStream()
        feed(stream, [START[:-1], *pieces])
        assert (stream.done, stream.finished) == (True, False)
        feed(stream, [b"\n"])
        assert stream.finished

    @pytest.mark.parametrize("strict", [True, False], ids=["strict", "not strict"])
    @pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"], ids=repr)
    def test_the_end_of_its_own_block_finishes_nothing(self, cuts, end: bytes, strict: bool) -> None:
        done = DONE.replace(b"\n", end)
        for pieces in cuts(done):
            stream = RunStream(strict=strict)
            assert feed(stream, [START + FINAL, *pieces])[1] is None
            assert (stream.done, stream.finished) == (True, False)

    def test_events_after_done_finish_nothing_where_the_order_is_not_enforced(self) -> None:
        stream = RunStream(strict=False)
        feed(stream, [DONE + TOKEN + TOKEN])
        feed(stream, [TOKEN, TOKEN[:-1], TOKEN[:-1], b"\n"])
        assert (stream.done, stream.finished) == (True, False)
        feed(stream, [b"\n"])
        assert stream.finished

    @pytest.mark.parametrize("line", IDLE_LINES, ids=repr)
    def test_before_done_nothing_of_that_finishes_it(self, line: bytes) -> None:
        for data in (b"", START, START + FINAL):
            stream = RunStream()
            feed(stream, [data + line + b"\n\n\n"])
            assert (stream.done, stream.finished) == (False, False)
            feed(stream, [(START if not data else b"") + (b"" if FINAL in data else FINAL) + DONE])
            assert (stream.done, stream.finished) == (True, False)

    def test_done_is_known_once_it_is_handed_out(self) -> None:
        stream = RunStream()
        stream.receive_data(GOOD)
        assert [(event.type, stream.done) for event in stream.events()] == [
            ("start", False),
            ("token", False),
            ("final", False),
            ("done", True),
        ]

    @pytest.mark.parametrize("data", [b"", b"data: nope\n"], ids=["interrupted", "wrong"])
    def test_nothing_more_needs_to_be_read_of_a_stream_that_failed(self, data: bytes) -> None:
        stream = RunStream()
        _, error = feed(stream, [START, data])
        assert error is not None
        assert stream.finished

    def test_iterating_over_a_finished_stream_gives_nothing(self) -> None:
        stream = RunStream()
        feed(stream, [GOOD, b""])
        assert list(stream.events()) == []


class TestKept:
    """What the machine keeps of what went through it."""

    def test_text_is_that_of_tokens_and_deltas_so_far(self) -> None:
        stream = RunStream()
        assert stream.text == ""
        feed(stream, [START + TOKEN])
        assert stream.text == "a"
        more = [
            '{"type":"delta","data":{"text":"é"}}',
            '{"type":"tool_call","data":{"text":"no"}}',
            '{"type":"token","data":{"text":7}}',
            '{"type":"token"}',
            '{"type":"token","data":{"text":"😀"}}',
            '{"type":"new","data":{"text":"no"}}',
        ]
        feed(stream, [frames(*more)])
        assert stream.text == "aé😀"
        feed(stream, [FINAL + DONE + b": \n"])
        assert stream.text == "aé😀"

    def test_a_character_that_is_split_over_two_events_is_joined(self) -> None:
        """A lone surrogate, before its other half comes or for good, is U+FFFD: the text can always be printed."""
        stream = RunStream()
        halves = ['{"type":"token","data":{"text":"a\\ud83d"}}', '{"type":"delta","data":{"text":"\\ude00b"}}']
        texts = []
        for payload in (*halves, *halves[::-1]):
            feed(stream, [START * (not texts) + frames(payload)])
            texts.append(stream.text)
        assert texts == ["a\ufffd", "a😀b", "a😀b\ufffdb", "a😀b\ufffdba\ufffd"]

    def test_final_is_the_final_events_data(self) -> None:
        stream = RunStream()
        feed(stream, [START + TOKEN])
        assert stream.final is None
        feed(stream, [FINAL])
        assert stream.final == {"result": "a"}

    def test_the_count_and_the_last_event_follow_the_delivery(self) -> None:
        stream = RunStream()
        assert (stream.events_received, stream.last_event) == (0, None)
        stream.receive_data(START + TOKEN)
        events = stream.events()
        first = next(events)
        assert (stream.events_received, stream.last_event) == (1, first)
        second = next(events)
        assert (stream.events_received, stream.last_event) == (2, second)

    def test_abandoned_iterators_lose_nothing(self) -> None:
        stream = RunStream()
        stream.receive_data(GOOD)
        assert [next(stream.events()).type for _ in range(3)] == GOOD_TYPES[:3]
        stream.receive_data(b"")
        assert next(stream.events()).type == "done"
        assert list(stream.events()) == []

    def test_an_iterator_abandoned_at_the_last_line_loses_nothing(self) -> None:
        stream = RunStream()
        stream.receive_data(START + FINAL + DONE.rstrip())
        stream.receive_data(b"")
        assert [next(stream.events()).type for _ in range(3)] == ["start", "final", "done"]
        assert list(stream.events()) == []
        assert stream.finished


class TestLimits:
    def test_one_event_at_the_limit(self, cuts) -> None:
        line = b'data:{"type":"start"}'
        for pieces in cuts(line + b"\n"):
            assert feed(RunStream(max_event_size=len(line)), pieces) == ([StreamEvent("start")], None)

    def test_one_line_over_the_limit(self, cuts) -> None:
        line = b'data:{"type":"start"}'
        for pieces in cuts(line + b"\n"):
            events, fault = feed(RunStream(max_event_size=len(line) - 1), pieces)
            assert events == []
            assert "longer than 20 bytes" in str(fault)

    def test_one_event_of_many_lines_over_the_limit(self, cuts) -> None:
        data = b'data:{"type":"start",\ndata: "data":{},\ndata: "x":1}\n'
        payload = len(b'{"type":"start",\n"data":{},\n"x":1}')
        for pieces in cuts(data):
            assert len(feed(RunStream(max_event_size=payload), pieces)[0]) == 1
            events, fault = feed(RunStream(max_event_size=payload - 1), pieces)
            assert events == []
            assert f"larger than {payload - 1} bytes" in str(fault)

    def test_events_before_the_one_over_the_limit_are_delivered(self) -> None:
        delivered, fault = fault_of(START + TOKEN + b"data: " + b"x" * 100, max_event_size=60)
        assert delivered == 2
        assert type(fault) is RemoteProtocolError

    def test_an_event_that_never_ends_is_refused_in_time(self) -> None:
        stream = RunStream(max_event_size=1000)
        endless = chain([START, b'data: {"type":"token","data":{"text":"'], [b"x" * 100] * 100)
        _, fault = feed(stream, list(endless))
        assert "longer than 1000 bytes" in str(fault)

    @pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\n"], ids=repr)
    def test_of_a_large_event_nothing_is_kept_but_the_event(self, end: bytes) -> None:
        """Neither before more data comes nor once it has come."""
        stream, size = RunStream(), 2**21
        stream.receive_data(START)
        assert next(stream.events()).type == "start"
        tracemalloc.start()
        try:
            stream.receive_data(b'data: {"type":"tool_call","data":{"x":"' + b"x" * size + b'"}}' + end)
            for event in stream.events():
                assert len(event.data["x"]) == size
            del event
            held = [tracemalloc.get_traced_memory()[0]]
            feed(stream, [FINAL])
            held.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert held[0] < 1.1 * size  # the stream's last event
        assert held[1] < 0.1 * size

    def test_text_counts_wherever_it_comes_where_the_order_is_not_enforced(self) -> None:
        stream = RunStream(strict=False)
        odd = frames('{"type":"token","data":{"text":7}}', '{"type":"token","data":{"TEXT":"no"}}', '{"type":"token"}')
        feed(stream, [TOKEN, odd, START, TOKEN, FINAL, TOKEN, DONE, TOKEN, b""])
        assert stream.text == "aaaa"

    def test_text_over_the_limit_is_not_kept_and_the_events_go_on(self) -> None:
        stream = RunStream(max_event_size=60)
        events, fault = feed(stream, [START + TOKEN * 60])
        assert stream.text == "a" * 60
        more, fault = feed(stream, [TOKEN + TOKEN + FINAL + DONE, b""])
        assert (len(events), len(more), fault) == (61, 4, None)
        for _ in range(2):
            with pytest.raises(LocalProtocolError, match="more than 60 characters and was not kept"):
                _ = stream.text


class TestCuts:
    def test_every_cut_of_a_good_stream_into_two_and_three_pieces(self, cuts) -> None:
        good = (
            '\ufeff: hi\r\ndata: {"type":"start"}\r\n\r\ndata:{"type":"token",\rdata:"data":{"text":"é\u2028"}}\n\n'
            'data: {"type":"error"}\ndata: {"type":"done"}'
        ).encode()
        expected = whole(good)
        assert [event.type for event in expected] == ["start", "token", "error", "done"]
        for pieces in cuts(good):
            assert feed(RunStream(), [*pieces, b""]) == (expected, None), pieces

    def test_ten_thousand_events_in_one_piece_and_byte_by_byte(self) -> None:
        tokens = [f'{{"type":"token","data":{{"text":"{i} "}}}}' for i in range(10_000)]
        data = START + frames(*tokens) + FINAL + DONE
        stream = RunStream()
        events, fault = feed(stream, [data, b""])
        assert fault is None
        assert len(events) == stream.events_received == 10_003
        assert stream.text == "".join(f"{i} " for i in range(10_000))
        assert feed(RunStream(), [*(data[i : i + 1] for i in range(len(data))), b""]) == (events, None)
