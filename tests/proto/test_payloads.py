"""How a payload leaves its lines, and what is an object over several of them."""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest

from hestiaos_proto import RemoteProtocolError, RunStream, SSEDecoder, StreamEvent, StreamInterrupted
from hestiaos_proto._lines import LineDecoder
from hestiaos_proto._payloads import PayloadDecoder
from hestiaos_proto._redaction import Redactor
from tests.support.run_streams import DONE, FINAL, GOOD_TYPES, START, TOKEN, fault_of, feed, frames, whole


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
        b'data: {"type":"token","data":\ndata: {"text":"a"\ndata: }\ndata: } \n',
        'data: {"type":"token","data":\ndata: {"text":"a"\ndata: }\ndata: }\u3000\u00a0\n'.encode(),
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
        "white space after the last closing brace",
        "white space that is not ASCII after the last closing brace",
        "many data lines, with a comment, an empty one and other fields between",
        "every line end",
        "event, id and retry do not decide the type",
        "empty payloads are skipped",
        "heartbeats",
        "a comment that contains data:, and other fields",
    ],
)
def test_a_token_however_it_is_written_and_cut(cuts, token: bytes) -> None:
    expected = [
        StreamEvent("start"),
        StreamEvent("token", {"text": "a"}),
        StreamEvent("final"),
        StreamEvent("done"),
    ]
    rest = frames('{"type":"final"}', '{"type":"done"}')
    for pieces in cuts(token):
        assert feed(RunStream(), [START, *pieces, rest, b""]) == (expected, None), pieces


def test_it_is_dispatched_at_the_end_of_the_line_that_completes_it() -> None:
    stream = RunStream()
    for line in (b'data: {"type":\n', b'data: "start"\n'):
        stream.receive_data(line)
        assert list(stream.events()) == []
    stream.receive_data(b"data: }\n")
    assert list(stream.events()) == [StreamEvent("start")]


def test_two_objects_in_one_block_are_two_events() -> None:
    data = b'data: {"type":"start"}\ndata: {"type":"final"}\ndata: {"type":"done"}\n'
    assert [event.type for event in whole(data)] == ["start", "final", "done"]


@pytest.mark.parametrize(
    "text",
    ["\u2028\u2029\u0085", "\\u0000", "😀", "data: x", "[{", '\\"}{', "\\\\", "\\ud800"],
    ids=ascii,
)
def test_what_a_string_may_hold(cuts, text: str) -> None:
    payload = f'{{"type":"token","data":{{"text":"{text}"}}}}'
    expected = json.loads(payload)["data"]["text"]
    for pieces in cuts(frames(payload)):
        events, fault = feed(RunStream(), [START, *pieces, FINAL, DONE, b""])
        assert fault is None
        assert events[1].data["text"] == expected, pieces


def test_invalid_utf8_is_u_fffd(cuts) -> None:
    for pieces in cuts(frames(b'{"type":"token","data":{"text":"\xff\xe2\x82"}}')):
        events, _ = feed(RunStream(), [START, *pieces])
        assert events[1].data["text"] == "\ufffd\ufffd", pieces


def test_invalid_utf8_in_an_object_of_several_frames() -> None:
    data = START + b'data: {"type":"token",\ndata: "data":{"text":"\xff"}}\n'
    events, _ = feed(RunStream(), [data])
    assert events[1].data["text"] == "\ufffd"


def test_a_bom_at_the_start(cuts) -> None:
    for pieces in cuts(b"\xef\xbb\xbf" + START):
        assert feed(RunStream(), pieces) == ([StreamEvent("start")], None)


@pytest.mark.parametrize(
    "last", [b'data: {"type":"done"}', b'data: {"type":\ndata:"done"}', b' data:{"type":"done"} '], ids=str
)
def test_a_last_line_without_end_counts_as_a_line(cuts, last: bytes) -> None:
    for pieces in cuts(last):
        events, fault = feed(RunStream(), [START + TOKEN + FINAL, *pieces, b""])
        assert [event.type for event in events] == GOOD_TYPES
        assert fault is None


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"nonsense", "is not a JSON object"),
        (b"[1]", "is not a JSON object"),
        (b"1", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b'"text"', "is not a JSON object"),
        (b"[1,", "is not a JSON object"),
        (b"{}", "'type' is missing"),
        (b'{"type":7}', "'type' must be a string, not a number"),
        (b'{"type":"token","data":[]}', "'data' must be an object, not a list"),
        (b'{"type":"token","data":null}', "'data' must be an object, not null"),
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
def test_a_wrong_payload_is_named_and_its_start_quoted(payload: bytes, message: str) -> None:
    delivered, fault = fault_of(START + frames(payload) + FINAL + DONE)
    assert delivered == 1
    assert type(fault) is RemoteProtocolError
    assert message in fault.message
    assert repr(payload[:80].decode())[1:-1] in fault.message
    assert len(fault.message) < 400


def test_an_object_that_is_incomplete_at_the_blank_line(cuts) -> None:
    for pieces in cuts(b'data: {"type":"token",\n\n'):
        events, fault = feed(RunStream(), [START, *pieces, b'data: "data":{}}\n\n'])
        assert len(events) == 1
        assert type(fault) is RemoteProtocolError
        assert "ends before its JSON object does" in fault.message


def test_an_object_of_one_line_that_is_cut_short_is_refused_with_its_blank_line() -> None:
    for first in (START, START[:-1]):
        events, fault = feed(RunStream(), [first, b'data: {"type":\n\n'])
        assert len(events) == 1
        assert fault is not None
        assert fault.message == "the payload ends before its JSON object does: '{\"type\":'"


def test_all_lines_of_an_object_that_is_cut_short_are_quoted() -> None:
    _, fault = feed(RunStream(), [START, b'data: {"type":\ndata: 1,\ndata: 2,\n\n'])
    assert fault is not None
    assert fault.message == "the payload ends before its JSON object does: '{\"type\":\\n1,\\n2,'"


def test_an_object_over_the_limit_is_refused_with_the_line_that_is_too_much() -> None:
    stream = RunStream(max_event_size=1000)
    line = b"data: %b,\n" % (b"1" * 600)
    assert feed(stream, [b'data: {"type":"start","data":[\n', line]) == ([], None)
    _, fault = feed(stream, [line])
    assert fault is not None
    assert fault.message == "an event of the stream is larger than 1000 bytes"


def test_white_space_around_the_lines_of_an_object_does_not_count() -> None:
    stream = RunStream(max_event_size=1000)
    lines = [b"data:%b1,%b\n" % (b" " * 400, b"\t" * 400)] * 10
    events, fault = feed(stream, [b'data: {"type":"start","data":{"a":[\n', *lines, b"data: 1]}}\n"])
    assert fault is None
    assert [event.data for event in events] == [{"a": [1] * 11}]


def test_an_object_over_too_many_levels_is_refused_as_it_opens_them() -> None:
    stream = RunStream()
    stream.receive_data(START + b'data: {"type":"token","data":\n' + b"data: [\n" * 200)
    with pytest.raises(RemoteProtocolError, match="nested deeper"):
        list(stream.events())


class TestTogether:
    """Payloads of plain events are handed out together, in few at a time; those of all other blocks one by one."""

    @staticmethod
    def payloads(*pieces: bytes) -> list[bytes | list[bytes] | None]:
        lines = LineDecoder()
        for piece in pieces:
            lines.receive_data(piece)
        lines.receive_data(b"")
        return list(PayloadDecoder(1000, Redactor()).payloads(lines))

    @pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
    @pytest.mark.parametrize("count", [2, 63, 64, 65, 200])
    def test_whole_plain_events(self, count: int, end: bytes) -> None:
        wanted = [b"%d" % number for number in range(count)]
        data = b"".join(b"data: " + payload + end + end for payload in wanted)
        found = self.payloads(data)
        assert [payload for batch in found if isinstance(batch, list) for payload in batch] == wanted
        assert [len(batch) for batch in found if batch is not None] == [64] * (count // 64) + [count % 64] * (
            count % 64 > 0
        )

    @pytest.mark.parametrize(
        "data",
        [
            b"data: 1\n\n",
            b"data: 1\r\n\r\n",
            b"data: 1\n",
            b"data: 1\ndata: 2\n",
            b"data: 1\n\ndata: 2\n",
            b"data: 1\n\ndata: 2\n\n\n",
            b"\ndata: 1\n\ndata: 2\n\n",
            b"data: 1\n\ndata:2\n\n",
            b"data: 1\n\n: c\n\n",
            b"data: 1\n\nid: 7\ndata: 2\n\n",
            b"data: 1\n\r\ndata: 2\n\n",
            b"data: 1\r\rdata: 2\n\n",
            b"data: 1\r\n\r\ndata: 2\n\n",
            b"data: 1\n\ndata: 2\r\n\r\n",
            b"event: data: 1\n\ndata: 2\n\n",
        ],
        ids=repr,
    )
    def test_one_by_one(self, data: bytes) -> None:
        lines = data.splitlines()
        wanted = [line.removeprefix(b"data:") for line in lines if line.startswith(b"data:")]
        assert [payload.strip() for payload in self.payloads(data)] == [payload.strip() for payload in wanted]


class TestAfterDone:
    """What arrives after `done`: the rest of its event, or more, which ends the stream."""

    @staticmethod
    def trailing_data(first: bytes, *pieces: bytes, done: bool = True) -> list[bool]:
        """Whether it is known to go on, after the first piece and after each that follows."""
        lines, known = LineDecoder(), []
        decoder = PayloadDecoder(1000, Redactor())
        for piece in (first, *pieces):
            lines.receive_data(piece)
            for payload in decoder.payloads(lines):
                if payload is None:
                    break
                if not known and done:
                    decoder.expect_end()
                if isinstance(payload, bytes) and not payload.strip():
                    assert decoder.complete(payload) is None
            known.append(decoder.trailing_data)
        return known

    WHOLE = (b"data: 1\n\n", b"data: 1\r\n\r\n", b"data:1\n\n", b"data: 1\n\r\n")
    MORE = (b"\n", b"\r\n", b": comment\n", b"event: x\n", b"id\n", b"data:\n", b"data:  \n", b" data:\n")

    @pytest.mark.parametrize("more", MORE, ids=repr)
    @pytest.mark.parametrize("event", WHOLE, ids=repr)
    def test_more_after_its_blank_line(self, event: bytes, more: bytes) -> None:
        assert self.trailing_data(event, more, b"") == [False, True, True]
        assert self.trailing_data(event, more, done=False) == [False, False]

    @pytest.mark.parametrize("more", MORE[2:], ids=repr)
    def test_more_before_its_blank_line(self, more: bytes) -> None:
        assert self.trailing_data(b"data: 1\n", more) == [False, True]

    def test_its_blank_line_comes_later(self) -> None:
        assert self.trailing_data(b"data: 1\n", b"\n", b"\n", b": x\n") == [False, False, True, True]
        assert self.trailing_data(b"data: 1\n", b"data: 2\n", b"\n", b"\n") == [False, False, False, True]


class TestComplete:
    """Which lines make an object."""

    @staticmethod
    def decoder(*lines_: bytes) -> tuple[PayloadDecoder, list[bytes | list[bytes] | None]]:
        """A decoder that has completed the first payload, and what it gives for the lines after that."""
        lines = LineDecoder()
        decoder = PayloadDecoder(1000, Redactor())
        lines.receive_data(lines_[0])
        payloads = decoder.payloads(lines)
        first = next(payloads)
        assert isinstance(first, bytes)
        assert decoder.complete(first) is None
        found = []
        for line in lines_[1:]:
            assert next(payloads) is None
            lines.receive_data(line)
            found.append(next(payloads))
        return decoder, found

    @pytest.mark.parametrize("last", [b"data: }\n\n", b"data: }\r\n\r\n", b"data:}\n"], ids=repr)
    def test_its_last_line_gives_the_whole(self, last: bytes) -> None:
        decoder, found = self.decoder(b"data: {\n", last)
        assert (found, decoder.incomplete) == ([b"{\n}"], b"")

    def test_the_next_object_begins_anew(self) -> None:
        _, found = self.decoder(b'data: {"a":\n', b"data: 1}\n\n", b"data: 2\n\n")
        assert found == [b'{"a":\n1}', b"2"]
        body = b"".join(b'data: {"type":\ndata: "%b"}\n\n' % name for name in (b"start", b"final", b"done"))
        assert [event.type for event in whole(body)] == ["start", "final", "done"]

    @pytest.mark.parametrize("space", [" ", "\t", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x1f"], ids=ascii)
    def test_white_space_around_it(self, space: str) -> None:
        decoder = PayloadDecoder(1000, Redactor())
        assert decoder.complete(f'{space}{{"a":1}}{space}'.encode()) == b'{"a":1}'
        assert decoder.complete(b'X{"a":1}X') == b'X{"a":1}X'

    def test_it_may_be_as_deep_as_json(self) -> None:
        opened = b'{"type":"start","data":{"a":' + b"[" * 126
        body = b"data: %b\ndata: %b\ndata: }}\n\n" % (opened, b"]" * 126)
        events, fault = feed(RunStream(), [body])
        assert fault is None
        assert [event.type for event in events] == ["start"]

    @pytest.mark.parametrize("lines", [3, 100])
    def test_it_may_be_as_large_as_the_limit(self, lines: int) -> None:
        texts = [b'{"type":"start","data":{"a":[', *[b"1,"] * (lines - 2), b"1]}}"]
        size = len(b"\n".join(texts))
        data = b"".join(b"data: %b\n" % text for text in texts)
        assert len(feed(RunStream(max_event_size=size), [data])[0]) == 1
        events, fault = feed(RunStream(max_event_size=size - 1), [data])
        assert (len(events), type(fault)) == (0, RemoteProtocolError)

    def test_a_string_that_the_end_of_the_stream_cuts(self) -> None:
        events, fault = feed(RunStream(), [START, b'data: {"type":"tok', b""])
        assert ([event.type for event in events], type(fault)) == (["start"], StreamInterrupted)


@contextmanager
def profiled(note: Callable[[FrameType, str, Any], object]) -> Iterator[None]:
    """Have each call noted, but none of what is collected as garbage meanwhile."""
    gc.collect()
    gc.disable()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        gc.enable()


class TestCost:
    """What a byte costs is bounded: counted are the calls of functions, in C too, and compared with `SSEDecoder`'s."""

    @staticmethod
    def calls(decoder: RunStream | SSEDecoder, data: bytes) -> int:
        counts: Counter[str] = Counter()
        with profiled(lambda frame, event, argument: counts.update([event])):
            for place in range(0, len(data), 4096):
                decoder.receive_data(data[place : place + 4096])
                for _ in decoder.events():
                    pass
        return counts["call"] + counts["c_call"]

    @pytest.mark.parametrize(
        "line",
        [
            b"data:1,\n",
            b'data: "key": "value",\n',
            b'data: {"a": [1, "}"]},\n',
            b"data:}\n",
            b"data: {},\n",
            b"data:\n",
            b" data: 1,\n",
            b": comment\n",
            'data: "é",\n'.encode(),
            b'data: "\xff",\n',
            b'data: "\\"{", \n',
        ],
        ids=repr,
    )
    def test_an_object_over_many_lines(self, line: bytes) -> None:
        """The lines are not looked at again and again, and few calls are made for each."""
        begin = b'data: {"a":[\n'
        plain = self.calls(SSEDecoder(), begin + line * 3000)
        with suppress(RemoteProtocolError):  # some lines end the object
            assert self.calls(RunStream(), begin + line * 3000) < 6 * plain

    @pytest.mark.parametrize(
        "line", [b"data:1,\n", b'data: "key": "value",\n', b"data: {},\n", b"data: [\n", b'data: "\n'], ids=repr
    )
    def test_an_object_over_too_many_lines_is_refused(self, line: bytes) -> None:
        events, fault = feed(
            RunStream(max_event_size=20_000), [START, b'data: {"a":[\n', *[line * 100] * 200, b"\n", TOKEN]
        )
        assert [event.type for event in events] == ["start"]
        assert type(fault) is RemoteProtocolError

    @pytest.mark.parametrize(
        ("data", "left_out"),
        [(b'data: {"a":1}\n\n', "_of_block"), (b'data:{"a":1}\n', "lstrip")],
        ids=["event", "line"],
    )
    def test_what_is_plain_goes_the_short_way(self, data: bytes, left_out: str) -> None:
        """The longer one, which comes to the same, is not gone."""
        lines = LineDecoder()
        payloads = PayloadDecoder(10**6, Redactor()).payloads(lines)
        called: set[str] = set()

        def note(frame: FrameType, event: str, argument: Any) -> None:
            called.add(argument.__name__ if event == "c_call" else frame.f_code.co_name)

        lines.receive_data(data)
        with profiled(note):
            payload = next(payloads)
        assert payload == b'{"a":1}'
        assert "partition" in called
        assert left_out not in called

    def test_what_is_kept_of_many_lines_is_no_more_than_they_are(self) -> None:
        lines = LineDecoder()
        decoder = PayloadDecoder(10**6, Redactor())
        payloads = decoder.payloads(lines)
        lines.receive_data(b"data:{\n")
        assert next(payloads) == b"{"
        assert decoder.complete(b"{") is None
        tracemalloc.start()
        try:
            for _ in range(1000):
                lines.receive_data(b"data:1\n" * 100)
                assert next(payloads) is None
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 4 * len(decoder.incomplete)
