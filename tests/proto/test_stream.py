"""A run's event stream: the frozen payload rule, the frozen order, and every way in which a stream ends."""

from __future__ import annotations

import json as standard_json
from itertools import chain
from typing import Any

import pytest

from hestiaos_proto import (
    ORDER,
    ConnectionLost,
    HestiaError,
    LocalProtocolError,
    RemoteProtocolError,
    RunStream,
    StreamEvent,
    StreamInterrupted,
    StreamState,
    TimedOut,
)

TYPES = ("start", "token", "delta", "tool_call", "final", "error", "done")

START = b'data: {"type":"start"}\n\n'
TOKEN = b'data: {"type":"token","data":{"text":"a"}}\n\n'
FINAL = b'data: {"type":"final","data":{"result":"a"}}\n\n'
DONE = b'data: {"type":"done"}\n\n'
GOOD = START + TOKEN + FINAL + DONE
GOOD_TYPES = ["start", "token", "final", "done"]

# How to come to each state of the order.
WAY_TO = {
    StreamState.IDLE: b":\n",
    StreamState.RUNNING: START,
    StreamState.CONCLUDED: START + FINAL,
    StreamState.DONE: START + FINAL + DONE,
}


def feed(stream: RunStream, pieces: list[bytes]) -> tuple[list[StreamEvent], HestiaError | None]:
    """What comes of a stream in these pieces: its events, and the fault behind them."""
    events: list[StreamEvent] = []
    for piece in pieces:
        stream.receive_data(piece)
        try:
            for event in stream.events():
                events.append(event)  # one by one: those before a fault are kept
        except HestiaError as error:
            return events, error
    return events, None


def whole(data: bytes, **options: Any) -> list[StreamEvent]:
    """The events of a stream that ends, and ends well."""
    events, fault = feed(RunStream(**options), [data, b""])
    assert fault is None, fault
    return events


def lines(*payloads: str | bytes) -> bytes:
    return b"".join(b"data: " + (p.encode() if isinstance(p, str) else p) + b"\n\n" for p in payloads)


def fault_of(data: bytes, **options: Any) -> tuple[int, HestiaError]:
    events, fault = feed(RunStream(**options), [data, b""])
    assert fault is not None
    return len(events), fault


class TestPayload:
    """How a payload leaves its line."""

    @pytest.mark.parametrize(
        "token",
        [
            b'data:{"type":"token","data":{"text":"a"}}\n\n',
            b'data: {"type":"token","data":{"text":"a"}}\n\n',
            b'data: {"type":"token","data":{"text":"a"}}\n',
            b'data: {"type":"token","data":{"text":"a"}}\r',
            b'data: {"type":"token","data":{"text":"a"}}\r\n\r\n',
            b'data:   \t{"type":"token","data":{"text":"a"}}  \t \n\n',
            b'  data: {"type":"token","data":{"text":"a"}}\n',
            b'\tdata:{"type":"token","data":{"text":"a"}}\n',
            '\n data:\u00a0\u2028\u0085\v\f{"type":"token","data":{"text":"a"}}\u3000\v\n'.encode(),
            b'data: {"type":"token",\ndata: "data":{"text":"a"}}\n\n',
            b'data: {"type":"token","data":{"text":"a"}\ndata: }\n',
            b'data: {\ndata:\ndata:  "type":\n: comment\ndata: "token"\nevent: x\ndata: ,"data":{"text":"a"}}\n',
            b'data: {"type":"token"\r\ndata: ,"data":\rdata: {"text":"a"}\ndata: }\r\n',
            b'event: delta\nid: 7\nretry: 5\ndata: {"type":"token","data":{"text":"a"}}\n\n',
            b'data:\ndata\ndata: \n\ndata: {"type":"token","data":{"text":"a"}}\n\n',
            b': heartbeat\n\n:\ndata: {"type":"token","data":{"text":"a"}}\n: data: {"type":"token"}\n\n',
            b':data: {"type":"token"}\n x: 1\nxdata: {}\nDATA: {}\ndata: {"type":"token","data":{"text":"a"}}\n',
        ],
        ids=[
            "no space",
            "the standard's event",
            "LF and no blank line",
            "CR and no blank line",
            "CRLF",
            "white space around it is stripped",
            "spaces before the field name",
            "a tab before the field name",
            "strip() knows more white space than JSON",
            "two data lines",
            "a closing brace of its own",
            "many data lines, with a comment, an empty one and other fields between",
            "every line end",
            "event, id and retry do not decide the type",
            "empty payloads are skipped",
            "heartbeats",
            "a comment that contains data:, and other fields",
        ],
    )
    def test_a_token_however_it_is_written_and_cut(self, cuts, token: bytes) -> None:
        expected = [
            StreamEvent("start"),
            StreamEvent("token", {"text": "a"}),
            StreamEvent("final"),
            StreamEvent("done"),
        ]
        rest = lines('{"type":"final"}', '{"type":"done"}')
        for pieces in cuts(token):
            assert feed(RunStream(), [START, *pieces, rest, b""]) == (expected, None), pieces

    def test_it_is_dispatched_at_the_end_of_the_line_that_completes_it(self) -> None:
        stream = RunStream()
        for line in (b'data: {"type":\n', b'data: "start"\n'):
            stream.receive_data(line)
            assert list(stream.events()) == []
        stream.receive_data(b"data: }\n")
        assert list(stream.events()) == [StreamEvent("start")]

    def test_two_objects_in_one_block_are_two_events(self) -> None:
        data = b'data: {"type":"start"}\ndata: {"type":"final"}\ndata: {"type":"done"}\n'
        assert [event.type for event in whole(data)] == ["start", "final", "done"]

    @pytest.mark.parametrize(
        "text",
        ["\u2028\u2029\u0085", "\\u0000", "😀", "data: x", "[{", '\\"}{', "\\\\", "\\ud800"],
        ids=ascii,
    )
    def test_what_a_string_may_hold(self, cuts, text: str) -> None:
        payload = f'{{"type":"token","data":{{"text":"{text}"}}}}'
        expected = standard_json.loads(payload)["data"]["text"]
        for pieces in cuts(lines(payload)):
            events, fault = feed(RunStream(), [START, *pieces, FINAL, DONE, b""])
            assert fault is None
            assert events[1].data["text"] == expected, pieces

    def test_invalid_utf8_is_u_fffd(self, cuts) -> None:
        for pieces in cuts(lines(b'{"type":"token","data":{"text":"\xff\xe2\x82"}}')):
            events, _ = feed(RunStream(), [START, *pieces])
            assert events[1].data["text"] == "\ufffd\ufffd", pieces

    def test_invalid_utf8_in_an_object_of_several_lines(self) -> None:
        data = START + b'data: {"type":"token",\ndata: "data":{"text":"\xff"}}\n'
        events, _ = feed(RunStream(), [data])
        assert events[1].data["text"] == "\ufffd"

    def test_a_bom_at_the_start(self, cuts) -> None:
        for pieces in cuts(b"\xef\xbb\xbf" + START):
            assert feed(RunStream(), pieces) == ([StreamEvent("start")], None)

    @pytest.mark.parametrize(
        "last", [b'data: {"type":"done"}', b'data: {"type":\ndata:"done"}', b' data:{"type":"done"} '], ids=str
    )
    def test_a_last_line_without_end_counts_as_a_line(self, cuts, last: bytes) -> None:
        for pieces in cuts(last):
            events, fault = feed(RunStream(), [START + TOKEN + FINAL, *pieces, b""])
            assert [event.type for event in events] == GOOD_TYPES
            assert fault is None

    @pytest.mark.parametrize(
        ("payload", "told"),
        [
            (b"nonsense", "no JSON object"),
            (b"[1]", "no JSON object"),
            (b"1", "no JSON object"),
            (b"null", "no JSON object"),
            (b'"text"', "no JSON object"),
            (b"[1,", "no JSON object"),
            (b"{}", "'type' is missing"),
            (b'{"type":7}', "'type' is a number"),
            (b'{"type":"token","data":[]}', "'data' is a list"),
            (b'{"type":"token","data":null}', "'data' is null"),
            (b'{"type":"token","data":{"x":NaN}}', "NaN is not JSON"),
            (b'{"type":"token","data":{"x":1e400}}', "too large"),
            (b'{"type":"token"}{"type":"token"}', "Extra data"),
            (b'{"type":"token"} x', "Extra data"),
            (b'{"type":"token"}}', "Extra data"),
            (b'{"type":"tok\0en"}', "control character"),
            (b'{"type":"token}', "Unterminated string"),
            (b'{"type":"token","data":' + b"[" * 100_000, "nested deeper than 128"),
            (b'{"type":"token","data":' + b"[" * 200 + b"]" * 200 + b"}", "nested deeper than 128"),
        ],
        ids=lambda value: value[:40].decode() if isinstance(value, bytes) else None,
    )
    def test_a_wrong_payload_is_named_and_its_start_quoted(self, payload: bytes, told: str) -> None:
        delivered, fault = fault_of(START + lines(payload) + FINAL + DONE)
        assert delivered == 1
        assert type(fault) is RemoteProtocolError
        assert told in fault.message
        assert repr(payload[:80].decode())[1:-1] in fault.message
        assert len(fault.message) < 400

    def test_an_object_that_is_incomplete_at_the_blank_line(self, cuts) -> None:
        for pieces in cuts(b'data: {"type":"token",\n\n'):
            events, fault = feed(RunStream(), [START, *pieces, b'data: "data":{}}\n\n'])
            assert len(events) == 1
            assert type(fault) is RemoteProtocolError
            assert "ends before its JSON object does" in fault.message

    def test_an_object_over_too_many_levels_is_refused_as_it_opens_them(self) -> None:
        stream = RunStream()
        stream.receive_data(START + b'data: {"type":"token","data":\n' + b"data: [\n" * 200)
        with pytest.raises(RemoteProtocolError, match="nested deeper"):
            list(stream.events())


class TestOrder:
    """`start → (token | delta | tool_call)* → (final | error) → done`."""

    def test_the_table_is_the_frozen_order(self) -> None:
        running = dict.fromkeys(("token", "delta", "tool_call"), StreamState.RUNNING)
        expected = {
            StreamState.IDLE: {"start": StreamState.RUNNING},
            StreamState.RUNNING: running | {"final": StreamState.CONCLUDED, "error": StreamState.CONCLUDED},
            StreamState.CONCLUDED: {"done": StreamState.DONE},
            StreamState.DONE: {},
        }
        assert expected == ORDER

    @pytest.mark.parametrize("state", StreamState, ids=lambda state: state.name)
    @pytest.mark.parametrize("kind", TYPES)
    def test_strict_takes_what_the_table_allows_and_nothing_else(self, state: StreamState, kind: str) -> None:
        stream = RunStream()
        before, _ = feed(stream, [WAY_TO[state]])
        events, fault = feed(stream, [lines(f'{{"type":"{kind}"}}')])
        if kind in ORDER[state]:
            assert [event.type for event in events] == [kind]
            assert fault is None
        else:
            assert events == []
            assert type(fault) is RemoteProtocolError
            assert fault.message == f"the stream's order is broken: '{kind}' came where {state.value} belongs"
            assert stream.events_received == len(before)

    @pytest.mark.parametrize("state", StreamState, ids=lambda state: state.name)
    @pytest.mark.parametrize("kind", [*TYPES, "new"])
    def test_not_strict_takes_everything_everywhere(self, state: StreamState, kind: str) -> None:
        stream = RunStream(strict=False)
        feed(stream, [WAY_TO[state]])
        events, fault = feed(stream, [lines(f'{{"type":"{kind}"}}')])
        assert ([event.type for event in events], fault) == ([kind], None)

    @pytest.mark.parametrize(
        "state", [StreamState.IDLE, StreamState.RUNNING, StreamState.CONCLUDED], ids=lambda state: state.name
    )
    def test_an_unknown_type_is_delivered_and_leaves_the_order_as_it_is(self, state: StreamState) -> None:
        rest = {StreamState.IDLE: GOOD, StreamState.RUNNING: TOKEN + FINAL + DONE, StreamState.CONCLUDED: DONE}[state]
        with_unknown = WAY_TO[state] + lines('{"type":"new","data":{"x":1}}', '{"type":""}') + rest
        events = whole(with_unknown)
        assert StreamEvent("new", {"x": 1}) in events
        assert [e for e in events if e.type in TYPES] == whole(WAY_TO[state] + rest)

    def test_nothing_follows_done_not_even_an_unknown_type(self) -> None:
        delivered, fault = fault_of(GOOD + lines('{"type":"new"}'))
        assert delivered == 4
        assert "'new' came where the end of the stream belongs" in str(fault)

    @pytest.mark.parametrize("between", [b"", b": heartbeat\n"], ids=["at once", "behind a heartbeat"])
    @pytest.mark.parametrize("end", [b"", b"\n"], ids=["line without end", "line with end"])
    def test_nothing_follows_done_in_whatever_line(self, between: bytes, end: bytes) -> None:
        delivered, fault = fault_of(GOOD + between + TOKEN.rstrip() + end)
        assert delivered == 4
        assert "'token' came where the end of the stream belongs" in str(fault)

    def test_an_error_event_is_an_event_and_raises_nothing(self) -> None:
        events = whole(START + lines('{"type":"error","data":{"code":"X"}}', '{"type":"done"}'))
        assert [event.type for event in events] == ["start", "error", "done"]
        assert events[1].data == {"code": "X"}

    def test_events_before_the_fault_come_first_one_by_one(self) -> None:
        stream = RunStream()
        stream.receive_data(START + TOKEN + START)
        events = stream.events()
        assert next(events).type == "start"
        assert next(events).type == "token"
        with pytest.raises(RemoteProtocolError, match="'start' came where token"):
            next(events)

    def test_a_failed_stream_raises_the_same_error_again_whatever_comes(self) -> None:
        stream = RunStream()
        _, first = feed(stream, [START + START])
        _, second = feed(stream, [TOKEN])
        _, third = feed(stream, [b""])
        assert first is not None
        assert first is second is third
        assert stream.events_received == 1


class TestEnd:
    """`done`, and every other end."""

    @pytest.mark.parametrize(
        ("data", "count", "told"),
        [
            (b"", 0, "where start belongs"),
            (b": heartbeat\n\n", 0, "where start belongs"),
            (START, 1, "where token, delta, tool_call, final or error belongs"),
            (START + TOKEN, 2, "where token, delta, tool_call, final or error belongs"),
            (START + FINAL, 2, "where done belongs"),
            (START + b'data: {"type":"to', 1, "inside an event"),
            (START + b'data: {"type":"token"', 1, "inside an event"),
            (START + b'data: {"type":"token","data":{"text":"\xe2\x82', 1, "inside an event"),
            (START + b'data: {"type":"token","data":{"text":"\\', 1, "inside an event"),
            (START + b'data: {"type":"token","data":{"text":"\\u20', 1, "inside an event"),
            (START + b'data: {"type":"token","data":{"n":tr', 1, "inside an event"),
            (START + b'data: {"type":"token","data":{"n":1.', 1, "inside an event"),
            (START + b'data: {"type":"token",\n', 1, "inside an event"),
            (START + b"data", 1, "belongs"),
            (START + b"data: ", 1, "belongs"),
        ],
        ids=lambda value: value.decode("latin-1") if isinstance(value, bytes) else None,
    )
    def test_ended_before_done(self, data: bytes, count: int, told: str) -> None:
        stream = RunStream()
        events, fault = feed(stream, [data, b""])
        assert isinstance(fault, StreamInterrupted)
        assert told in fault.message
        assert f"after {count} events" in fault.message
        assert fault.events_received == stream.events_received == len(events) == count
        assert fault.last_event == (events[-1] if events else None)
        assert fault.__cause__ is None

    def test_wherever_a_good_stream_is_cut_off_its_whole_events_arrive_and_the_end_is_told(self) -> None:
        ends = [i for i in range(len(GOOD)) if GOOD[i : i + 1] == b"}" and GOOD[i + 1 : i + 2] == b"\n"]
        for cut in range(len(GOOD)):
            events, fault = feed(RunStream(), [GOOD[:cut], b""])
            assert len(events) == sum(end < cut for end in ends)
            assert isinstance(fault, StreamInterrupted) == (len(events) < 4)

    def test_not_strict_reports_a_cut_stream_too(self) -> None:
        delivered, fault = fault_of(TOKEN + TOKEN, strict=False)
        assert delivered == 2
        assert isinstance(fault, StreamInterrupted)

    def test_not_strict_is_content_with_done_alone(self) -> None:
        assert [event.type for event in whole(DONE + TOKEN, strict=False)] == ["done", "token"]

    def test_a_payload_cut_behind_done_is_told(self) -> None:
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
    def test_any_other_fault_is_raised_as_it_is_behind_the_events(self, fault: HestiaError) -> None:
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
    def test_nothing_is_received_behind_the_end(self, data: bytes) -> None:
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

    @pytest.mark.parametrize(
        "piece", [b"", b": heartbeat\n", b":\n\n"], ids=["the end", "a heartbeat", "an empty comment"]
    )
    def test_done_and_the_end_or_a_heartbeat(self, piece: bytes) -> None:
        stream = RunStream()
        feed(stream, [GOOD, piece])
        assert stream.finished

    @pytest.mark.parametrize("data", [b": heartbeat\n\n", START + b": heartbeat\n\n"], ids=["at the start", "running"])
    def test_a_heartbeat_before_done_finishes_nothing(self, data: bytes) -> None:
        stream = RunStream()
        feed(stream, [data])
        assert not stream.finished

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
        feed(stream, [lines(*more)])
        assert stream.text == "aé😀"
        feed(stream, [FINAL + DONE + b": \n"])
        assert stream.text == "aé😀"

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

    def test_text_counts_wherever_it_comes_where_the_order_is_not_enforced(self) -> None:
        stream = RunStream(strict=False)
        odd = lines('{"type":"token","data":{"text":7}}', '{"type":"token","data":{"TEXT":"no"}}', '{"type":"token"}')
        feed(stream, [TOKEN, odd, START, TOKEN, FINAL, TOKEN, DONE, TOKEN, b""])
        assert stream.text == "aaaa"

    def test_text_over_the_limit_is_not_kept_and_the_events_go_on(self) -> None:
        stream = RunStream(max_event_size=60)
        events, fault = feed(stream, [START + TOKEN * 60])
        assert stream.text == "a" * 60
        more, fault = feed(stream, [TOKEN + TOKEN + FINAL + DONE, b""])
        assert (len(events), len(more), fault) == (61, 4, None)
        for _ in range(2):
            with pytest.raises(LocalProtocolError, match="over 60 characters and was not kept"):
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
        data = START + lines(*tokens) + FINAL + DONE
        stream = RunStream()
        events, fault = feed(stream, [data, b""])
        assert fault is None
        assert len(events) == stream.events_received == 10_003
        assert stream.text == "".join(f"{i} " for i in range(10_000))
        assert feed(RunStream(), [*(data[i : i + 1] for i in range(len(data))), b""]) == (events, None)


class TestBlocks:
    """Events that come together are those that come one by one, whatever else is among them."""

    @pytest.mark.parametrize(
        "data",
        [
            START + TOKEN + TOKEN,
            START + TOKEN[:-2] + b"\r" + TOKEN,
            START + b":\n\n" + TOKEN + TOKEN,
            START + b"\n" + TOKEN + b"\n" + TOKEN,
            START + TOKEN[:-1] + TOKEN,
            START + b"event: x\n" + TOKEN + TOKEN,
            START + b"data:" + TOKEN[6:] + TOKEN,
            START + b'data: {"type":\ndata: "token"}\n\n' + TOKEN,
            START + b'data: {"type":\ndata: "token"}\n\ndata: {\ndata: "type": "token"}\n\n',
        ],
        ids=ascii,
    )
    def test_whole_and_in_pieces(self, data: bytes) -> None:
        for size in (len(data), 200, 40, 7, 1):
            stream = RunStream()
            events, fault = feed(stream, [data[i : i + size] for i in range(0, len(data), size)])
            assert ([event.type for event in events], fault) == (["start", "token", "token"], None)

    def test_whole_events_do_not_complete_an_object_that_has_begun(self) -> None:
        events, fault = feed(RunStream(), [b'data: {"a":\n', START + TOKEN])
        assert events == []
        assert isinstance(fault, RemoteProtocolError)

    def test_nothing_has_come_and_nothing_is_wrong(self) -> None:
        assert list(RunStream().events()) == []

    def test_a_wrong_event_of_several_lines_is_quoted(self) -> None:
        count, fault = fault_of(b'data: {"type":\ndata: 1}\n\n')
        assert count == 0
        assert "the field 'type' is a number where a string belongs: '{\"type\":\\n1}'" in fault.message

    @pytest.mark.parametrize("start", [b"data: ", b" data: "], ids=repr)
    def test_a_last_line_that_is_cut_inside_a_string_is_an_interrupted_stream(self, start: bytes) -> None:
        _, fault = fault_of(START + start + b'{"type":"tok')
        assert type(fault) is StreamInterrupted
        assert fault.message == "the stream ended before 'done', inside an event, after 1 events"

    def test_after_done_a_comment_is_a_heartbeat_and_another_field_is_not(self) -> None:
        stream = RunStream()
        feed(stream, [GOOD, b"event: x\nretry: 1\nfoo\n\n"])
        assert not stream.finished
        feed(stream, [b":\n"])
        assert stream.finished

    def test_an_event_of_several_lines_at_the_limit_and_over_it(self) -> None:
        data = b'data: {"type":\ndata: "start"}\n\n'
        size = len(b'{"type":\n"start"}')
        assert [event.type for event in feed(RunStream(max_event_size=size), [data])[0]] == ["start"]
        _, fault = fault_of(data, max_event_size=size - 1)
        assert fault.message == f"an event of the stream is larger than {size - 1} bytes"

    def test_a_text_close_to_the_limit_is_not_joined_again_at_every_event(self) -> None:
        stream = RunStream(max_event_size=1600)
        feed(stream, [START, *[TOKEN] * 1600, b":" * 1600 + b"\n"])
        measured = []
        for _ in range(100):
            feed(stream, [b'data: {"type":"token","data":{"text":""}}\n\n'])
            measured.append(len(stream._text) == 2)  # the text so far and the new one
        assert measured.count(False) > 20
        assert stream.text == "a" * 1600

    def test_how_much_may_come_before_the_text_is_measured_again(self) -> None:
        stream = RunStream(max_event_size=1600)
        for count, room in ((1000, 600), (500, 100), (100, 100)):
            feed(stream, [START, *[TOKEN] * count] if stream.events_received == 0 else [TOKEN] * count)
            assert stream.text == "a" * (stream.events_received - 1)
            assert stream._room == room

    def test_text_over_the_limit_is_let_go_of_though_nobody_asks_for_it(self) -> None:
        stream = RunStream(max_event_size=1000)
        feed(stream, [START, *[TOKEN.replace(b'"a"', b'"%s"' % (b"a" * 500))] * 20])
        assert len("".join(stream._text)) <= 1000
        with pytest.raises(LocalProtocolError, match="over 1000 characters and was not kept"):
            _ = stream.text
        assert stream._text == []
        stream = RunStream(max_event_size=1000)
        feed(stream, [START, *[TOKEN] * 100])
        assert stream.text == "a" * 100


class TestTheShortWay:
    """Whole events of one plain data line each are not cut into lines, which takes longer; all else is."""

    @pytest.mark.parametrize("events", [[START], [START, TOKEN], [TOKEN] * 5], ids=["one", "two", "five"])
    @pytest.mark.parametrize("room", [0, 1])
    def test_whole_plain_events(self, events: list[bytes], room: int) -> None:
        block = b"".join(events)
        stream = RunStream(max_event_size=len(block) + room)
        stream._split(block)
        assert stream._alone
        assert list(stream._unread) == [event[6:-2] for event in events]

    @pytest.mark.parametrize(
        "block",
        [TOKEN[:-1], TOKEN + b"\n", b"\n" + TOKEN, TOKEN + b":\n\n", TOKEN.replace(b"\n", b"\r\n"), b"data:x\n\n"],
        ids=ascii,
    )
    def test_all_else(self, block: bytes) -> None:
        stream = RunStream()
        stream._split(block)
        assert not stream._alone
        assert list(stream._unread) == block.splitlines()
