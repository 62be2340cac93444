"""Properties of the stream decoders, each stated in the first sentence of its test."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from hestiaos_proto import (
    ProtocolError,
    RunStream,
    ServerSentEvent,
    SSEDecoder,
    StreamEvent,
    encode_event,
    encode_stream_event,
)
from hestiaos_proto._stream import ORDER, StreamState
from hestiaos_proto.json import dumps
from tests.support.run_streams import steps

Machine = RunStream | SSEDecoder

# Pieces from which streams are made that come near to real ones and go wrong in every way.
FRAGMENTS = st.sampled_from(
    [
        *(b"data:", b"data: ", b"data", b" data: ", b"id: 7", b"id: \0", b"event: x", b"retry: 10", b"retry: -5"),
        *(b": data: {}", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85"),
        *(b"\xff", b"\xf0\x9f", b" "),
        *rb'{"type":"start"} {"type":"token","data":{"text":"x"}} {"type":"final"} {"type":"done"} {}'.split(),
        *rb'{"type": "token" } [1] null " \ { "data":{} , NaN {"type":1}'.split(),
    ]
)
NEARLY = st.lists(FRAGMENTS | st.binary(max_size=4), max_size=30).map(b"".join)
STREAMS = NEARLY | st.binary(max_size=200)


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts})
    return [piece for start, end in zip([0, *places], [*places, len(data)], strict=True) if (piece := data[start:end])]


def outcome(machine: Machine, pieces: list[bytes]) -> tuple[list[Any], str | None]:
    """The events in their order, and what was raised after them."""
    events: list[Any] = []
    try:
        for piece in [*pieces, b""]:
            machine.receive_data(piece)
            for event in machine.events():
                events.append(event)
    except ProtocolError as error:
        return events, repr(error)
    return events, None


CUTS = st.lists(st.integers(0, 200), max_size=8)


@given(STREAMS, CUTS, st.sampled_from([RunStream, lambda: RunStream(strict=False), SSEDecoder]))
@example(b'data: {"type":"start"}\r\n\r\n', [23, 24], RunStream)
def test_every_cut_gives_the_same(data: bytes, cuts: list[int], machine: Callable[[], Machine]) -> None:
    """Any bytes, cut anyhow, give events or a `ProtocolError`, and the same of both for every cut."""
    whole = outcome(machine(), [data] if data else [])
    assert outcome(machine(), pieces_of(data, cuts)) == whole
    assert outcome(machine(), [data[place : place + 1] for place in range(len(data))]) == whole


def decoded_by_the_standard(data: bytes) -> tuple[list[ServerSentEvent], str, int | None]:
    """The algorithm of the WHATWG standard, section 9.2.6, word by word and without a thought for speed."""
    text = data.decode("utf-8", "replace")
    text = text.removeprefix("\ufeff")
    lines = re.split("\r\n|\n|\r", text)[:-1]  # what has no line end is pending data, which is discarded
    events: list[ServerSentEvent] = []
    buffer, event_type, id_buffer, last_id = "", "", "", ""
    reconnection_time: int | None = None
    retry: int | None = None
    for line in lines:
        if line == "":
            last_id = id_buffer
            if buffer != "":
                events.append(ServerSentEvent(buffer.removesuffix("\n"), event_type or "message", last_id, retry))
            buffer, event_type, retry = "", "", None
            continue
        if line.startswith(":"):
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            event_type = value
        elif field == "data":
            buffer += value + "\n"
        elif field == "id":
            if "\0" not in value:
                id_buffer = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            retry = reconnection_time = int(value)
    return events, last_id, reconnection_time


@given(STREAMS)
def test_the_decoder_agrees_with_the_standard(data: bytes) -> None:
    """`SSEDecoder` gives what a naive transcription of the standard's algorithm gives."""
    decoder = SSEDecoder()
    events, error = outcome(decoder, [data] if data else [])
    assert error is None
    assert (events, decoder.last_event_id, decoder.reconnection_time) == decoded_by_the_standard(data)


# Payloads that are plain text events, or not, in one way or another.
PLAIN = st.sampled_from(
    [
        *(b'{"type":"token","data":{"text":"a"}}', b'{"type":"delta","data":{"text":"\xc3\xa9","x":1.5}}') * 4,
        *(b'{"type":"token","data":{"text":"\\ud83d"}}', b'{"type":"token","data":{"text":"\\ude00"}}'),
        *(b'{"type":"token","data":{"text":[]}}', b'{"type":"token","data":{"x":{}}}', b'{"type":"token"}'),
        *(b'{"type":"tool_call"}', b'{"type":"news"}', b'{"type":"start"}', b'{"type":"final"}', b'{"type":"done"}'),
        *(b'{"type":"token","data":{"text":"a"},"n":1}', b'{"type":"token","data":{"text":"' + b"a" * 300 + b'"}}'),
        *(b"", b"{", b'{"type":1}', b'{"type":"token"} ', b"[]"),
    ]
)
ENDS_OF_BLOCKS = st.sampled_from([b"\n\n", b"\r\n\r\n"])


@given(st.lists(PLAIN, max_size=150), st.lists(PLAIN, max_size=3), ENDS_OF_BLOCKS, st.booleans())
def test_events_that_come_together_are_those_that_come_alone(
    many: list[bytes], few: list[bytes], end: bytes, strict: bool
) -> None:
    """Whole events in one piece give what they give in one piece each, at every step."""
    frames = [b"data: " + payload + end for payload in [b'{"type":"start"}', *many[: len(many) // 2], *few, *many]]
    together = steps(RunStream(strict=strict), [b"".join(frames), b""])
    assert list(together) == list(steps(RunStream(strict=strict), [*frames, b""]))


TEXT = st.text(max_size=20)  # without surrogates, as Hypothesis makes it
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
KNOWN = ["start", "token", "delta", "tool_call", "final", "error", "done"]
EVENTS = st.builds(StreamEvent, st.sampled_from(KNOWN) | TEXT, OBJECTS, TEXT, TEXT)


def _stays(state: StreamState, kind: str) -> bool:
    return ORDER[state][kind] is state


@st.composite
def conforming(draw: st.DrawFn) -> list[StreamEvent]:
    """A walk through the table of the frozen order, from its beginning to its end."""
    state, walk = StreamState.IDLE, []
    while ORDER[state]:
        # What leads on comes first: that is the way that Hypothesis shortens a walk by.
        kind = draw(st.sampled_from(sorted(ORDER[state], key=partial(_stays, state))))
        state = ORDER[state][kind]
        walk.append(StreamEvent(kind, draw(OBJECTS), draw(TEXT), draw(TEXT)))  # type: ignore[arg-type]  # of the table
    return walk


@given(conforming(), st.sampled_from([b"", b": heartbeat\n\n", b"event: message\n", b"id: 1\r\n", b"retry: 5\r"]), CUTS)
def test_a_conforming_stream_is_what_the_standard_and_json_make_of_it(
    events: list[StreamEvent], between: bytes, cuts: list[int]
) -> None:
    """For every stream that a conforming server sends, `RunStream` gives what `SSEDecoder` and a JSON parser give."""
    data = b"".join(between + encode_stream_event(event) for event in events)
    plain, _ = outcome(SSEDecoder(), [data])
    expected = [StreamEvent(**json.loads(event.data)) for event in plain]
    assert outcome(RunStream(), pieces_of(data, cuts)) == (expected, None)
    assert expected == events


def frozen(text: str) -> list[StreamEvent] | None:
    """The rule of the 1.0 contract, line by line; `None` where it does not succeed."""
    events: list[StreamEvent] = []
    for line in re.split("\r\n|\n|\r", text):
        if "data:" not in line or not (payload := line.split("data:", 1)[1].strip()):
            continue
        try:
            raw = json.loads(payload, parse_constant=lambda name: [])
            events.append(
                StreamEvent(raw["type"], raw.get("data", {}), raw.get("trace_id", ""), raw.get("timestamp", ""))
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
    return events


BLANKS = st.sampled_from(["", " ", "\t", "  ", " \t "])
PAYLOADS = st.builds(
    lambda event, indent, ascii_only: json.dumps(event.to_wire(), ensure_ascii=ascii_only, separators=indent),
    EVENTS,
    st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
    st.booleans(),
)
LINES = st.builds(
    lambda before, after, payload, end: f"{before}data:{after}{payload}{end}", BLANKS, BLANKS, PAYLOADS | BLANKS, BLANKS
)
ENDS = st.sampled_from(["\n", "\r", "\r\n", "\n\n"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=6), CUTS)
def test_without_strict_the_frozen_rule_gives_the_same_events(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    """Where the frozen rule and `json.loads` succeed line by line, `RunStream(strict=False)` gives the same events."""
    text = "".join(line + end for line, end in lines)
    expected = frozen(text)
    assert expected is not None
    events, error = outcome(RunStream(strict=False), pieces_of(text.encode(), cuts))
    assert events == expected
    assert error is None or "StreamInterrupted" in error


@given(EVENTS)
def test_an_event_is_written_as_any_event_is(event: StreamEvent) -> None:
    """`encode_stream_event` gives what `encode_event` gives of the event's JSON."""
    assert encode_stream_event(event) == encode_event(dumps(event.to_wire()).decode())
