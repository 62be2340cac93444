"""`RunStream` as a state machine: whatever comes, it gives what the table of the frozen order says, and then one fault.

The model knows where the bytes of an event are enough, and looks the rest up in `ORDER`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

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
from hestiaos_proto._stream import ORDER, StreamState

KNOWN = frozenset().union(*ORDER.values())
KINDS = st.sampled_from([*sorted(KNOWN), "ping", "", "Start"])
HALVES = ["\ud83d", "\ude00", "a\ud83d", "\ude00é"]  # of a character
TEXTS = st.sampled_from(["", "a", '"', "\\", "{", "}}", "é🏠", "\u2028\x85", "a\nb", "data: {}", *HALVES]) | st.text(
    max_size=3
)
DATA = st.just({}) | st.fixed_dictionaries({"text": TEXTS}) | st.just({"text": 1, "x": [{}, "}"]})
LINE_ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])
IDLE = st.sampled_from([b"nonsense", b"\xff\xfe", b"id: 7", b"event: x", b"data:", b"data: \t", b"data", b":", b": hi"])
BAD = st.sampled_from(
    [b"nope", b"[1]", b"1", b"null", b"}", b'{"type":1}', b'{"data":{}}', b'{"type":"token","data":[]}', b'{"type"}']
)
FAULTS = st.sampled_from([ConnectionLost, TimedOut, RemoteProtocolError, LocalProtocolError])
CUTS = st.integers(1, 60)
WALKS = st.sampled_from([[], ["start"], ["start", "delta"], ["start", "final"], ["start", "token", "error", "done"]])


def printable(text: str) -> str:
    """Surrogate pairs as their characters, lone surrogates as U+FFFD."""
    pair = re.compile("([\ud800-\udbff])([\udc00-\udfff])")
    joined = pair.sub(lambda found: chr(0x10000 + (ord(found[1]) - 0xD800) * 0x400 + ord(found[2]) - 0xDC00), text)
    return re.sub("[\ud800-\udfff]", "\ufffd", joined)


Arrived = StreamEvent | None
"""What came whole and was not read yet: an event, or `None` for a payload that is none."""


class StreamMachine(RuleBasedStateMachine):
    @initialize(strict=st.booleans(), walk=WALKS, beating=st.booleans())
    def begin(self, strict: bool, walk: list[str], beating: bool) -> None:
        self.strict = strict
        self.stream = RunStream(strict=strict)
        self.state = StreamState.IDLE
        self.arrived: list[Arrived] = []
        self.delivered: list[StreamEvent] = []
        self.went_on = False  # a line that is not part of an event has come after `done`, and what was before is read
        self.idle: list[int] = []  # at which places among the arrived there are such lines
        self.waiting: Iterator[StreamEvent] | None = None
        self.in_event = False  # a blank line would be the end of the last event's block
        self.last_byte = b""
        self.ended = False
        self.end_read = False
        self.lost: HestiaError | None = None
        self.raised: HestiaError | None = None
        self._rest_of(None, b"", 0)
        for kind in walk:  # so that every state is met, however soon an example ends
            self.an_event_is_begun(kind, {"text": kind}, lines=False, field=b"data: ")
            self.it_is_finished()
            if beating and kind != "done":
                self.an_idle_line_comes(b": heartbeat", b"\n")

    def _rest_of(self, event: Arrived, wire: bytes, whole: int) -> None:
        """`wire` is about to come; with its byte number `whole` the JSON object is closed, with the next its line."""
        self.event, self.wire, self.whole, self.at = event, wire, whole, 0

    @property
    def inside(self) -> bool:
        """Whether something of an event has come, and not yet the end of its last line."""
        return 0 < self.at <= self.whole

    def _go_on(self, size: int) -> None:
        before, self.at = self.at, min(self.at + size, len(self.wire))
        self._send(self.wire[before : self.at])
        if before <= self.whole < self.at:
            self.arrived.append(self.event)
            self.in_event = True
        if self.at == len(self.wire):
            # CR and LF together are one line end.
            self.in_event = len(self.wire[self.whole :].splitlines()) < 2
            self._rest_of(None, b"", 0)

    def _send(self, data: bytes) -> None:
        self.stream.receive_data(data)
        self.last_byte = data[-1:]

    # What a server does.

    @precondition(lambda self: not self.ended and not self.wire)
    @rule(kind=KINDS, data=DATA, lines=st.booleans(), field=st.sampled_from([b"data: ", b"data:", b" \tdata:  "]))
    def an_event_is_begun(self, kind: str, data: dict[str, Any], lines: bool, field: bytes) -> None:
        self._begin_event(StreamEvent(kind, data, "t"), b"\n", lines, field, b"\n")  # type: ignore[arg-type]  # any type

    @precondition(lambda self: not self.ended and not self.wire)
    @rule(line_end=LINE_ENDS, lines=st.booleans(), blank=st.sampled_from([b"", b"\n", b"\r\n"]), data=st.data())
    def an_event_in_its_order_is_begun(self, line_end: bytes, lines: bool, blank: bytes, data: st.DataObject) -> None:
        state = self.state
        for event in self.arrived:
            state = ORDER[state].get(event.type, state) if event is not None else state
        if ORDER[state]:
            kind = data.draw(st.sampled_from(sorted(ORDER[state])))
            self._begin_event(StreamEvent(kind, data.draw(DATA)), line_end, lines, b"data: ", blank)  # type: ignore[arg-type]  # of the table

    def _begin_event(self, event: StreamEvent, line_end: bytes, lines: bool, field: bytes, blank: bytes) -> None:
        # One element a line: each a data line of its own, which LF joins again.
        text = event.data.get("text")
        payload = json.dumps(event.to_wire(), ensure_ascii=text in HALVES, indent=1 if lines else None)
        body = line_end.join(field + line.encode() for line in payload.split("\n"))
        self._rest_of(event, body + line_end + blank, len(body))
        self._go_on(1)

    @precondition(lambda self: not self.ended and self.wire)
    @rule(size=CUTS)
    def more_of_it_comes(self, size: int) -> None:
        self._go_on(size)

    @precondition(lambda self: not self.ended and self.wire)
    @rule()
    def it_is_finished(self) -> None:
        self._go_on(len(self.wire))

    @precondition(lambda self: not self.ended and self.inside)
    @rule()
    def it_is_cut_short_by_a_blank_line(self) -> None:
        if self.at == self.whole:
            self.arrived.append(self.event)
        elif b"{" in self.wire[: self.at]:
            self.arrived.append(None)
        else:
            self.idle.append(len(self.arrived))
        self._send(b"\n\n")
        self.in_event = False
        self._rest_of(None, b"", 0)

    @precondition(lambda self: not self.ended and not self.wire)
    @rule(payload=BAD, line_end=LINE_ENDS)
    def a_bad_payload_comes(self, payload: bytes, line_end: bytes) -> None:
        self._send(b"data: " + payload + line_end)
        self.arrived.append(None)

    @precondition(lambda self: not self.ended and not self.wire)
    @rule(line=IDLE, line_end=LINE_ENDS)
    def an_idle_line_comes(self, line: bytes, line_end: bytes) -> None:
        self._send(line + line_end)
        self.idle.append(len(self.arrived))

    @precondition(lambda self: not self.ended and not self.wire)
    @rule(line_end=LINE_ENDS)
    def a_blank_line_comes(self, line_end: bytes) -> None:
        if not (line_end == b"\n" and self.last_byte == b"\r"):  # or it is the second half of a line end
            if not self.in_event:
                self.idle.append(len(self.arrived))
            self.in_event = False
        self._send(line_end)

    @precondition(lambda self: not self.ended and not self.wire and self.last_byte != b"\r")
    @rule(texts=st.lists(TEXTS, min_size=2, max_size=70), kind=KINDS, last=st.booleans())
    def several_events_come_together(self, texts: list[str], kind: str, last: bool) -> None:
        events = [StreamEvent("token", {"text": text}) for text in texts]
        if last:
            events.append(StreamEvent(kind))  # type: ignore[arg-type]  # any type
        self._send(b"".join(b"data: " + json.dumps(event.to_wire()).encode() + b"\n\n" for event in events))
        self.arrived += events
        self.in_event = False

    # What a network does.

    @precondition(lambda self: not self.ended)
    @rule()
    def the_stream_ends(self) -> None:
        self.stream.receive_data(b"")
        self._end()

    @precondition(lambda self: self.ended and self.raised is None)
    @rule(data=st.sampled_from([b"", b"\n", b"data: {}\n"]))
    def something_comes_after_the_end(self, data: bytes) -> None:
        with pytest.raises(LocalProtocolError, match="after the end of the stream"):
            self.stream.receive_data(data)

    @rule(fault=FAULTS)
    def the_connection_is_lost(self, fault: type[HestiaError]) -> None:
        error = fault("the first that was told")
        self.stream.connection_lost(error)
        if not self.ended:
            self._end()
        if self.lost is None:
            self.lost = error

    def _end(self) -> None:
        self.ended = True
        # A last line without a line end counts as a line.
        if self.inside and self.at == self.whole:
            self.arrived.append(self.event)
            self._rest_of(None, b"", 0)

    # What a caller does.

    @rule(most=st.none() | st.integers(1, 3) | st.integers(60, 70))
    def events_are_read(self, most: int | None) -> None:
        self._read(self.stream.events(), most)

    @precondition(lambda self: self.waiting is not None)
    @rule(most=st.none() | st.integers(1, 3))
    def an_iterator_that_was_left_goes_on(self, most: int | None) -> None:
        events, self.waiting = self.waiting, None
        self._read(events, most)

    def _read(self, events: Iterator[StreamEvent], most: int | None) -> None:
        count = 0
        while count != most:
            try:
                event = next(events, None)
            except HestiaError as error:
                self._is_expected(error)
                return
            if event is None:
                self._nothing_is_left()
                return
            self._is_next(event)
            count += 1
        self.waiting = events

    def _is_next(self, event: StreamEvent) -> None:
        assert self.raised is None
        assert self.arrived, f"{event} never came whole"
        assert event == self.arrived[0]
        assert self._fits(event)
        self._pass_idle_lines()
        self.arrived.pop(0)
        self.idle = [place - 1 for place in self.idle]
        self.state = ORDER[self.state].get(event.type, self.state)
        self.delivered.append(event)

    def _fits(self, event: StreamEvent) -> bool:
        """What the table says."""
        if not self.strict or event.type in ORDER[self.state]:
            return True
        return event.type not in KNOWN and self.state is not StreamState.DONE

    def _pass_idle_lines(self) -> None:
        """Those that stand before the next event are read with it; after `done` one is the end."""
        self.went_on |= self.is_done and any(place <= 0 for place in self.idle)
        self.idle = [place for place in self.idle if place > 0]

    @property
    def is_done(self) -> bool:
        return any(event.type == "done" for event in self.delivered)

    def _nothing_is_left(self) -> None:
        assert self.raised is None
        assert not self.arrived
        self._pass_idle_lines()
        self.end_read = self.ended
        if self.ended:
            assert self.is_done
            assert not self._cut_inside

    @property
    def _cut_inside(self) -> bool:
        return self.inside and b"{" in self.wire[: self.at]

    def _is_expected(self, error: HestiaError) -> None:
        if self.raised is not None:
            assert error is self.raised
            return
        self.raised = error
        if self.arrived:
            event = self.arrived[0]
            assert type(error) is RemoteProtocolError
            if event is not None:
                assert not self._fits(event)
                assert repr(event.type) in error.message
                assert self.state.value in error.message
        elif self.is_done:
            assert self._cut_inside
            if self.lost is not None and not isinstance(self.lost, ConnectionLost):
                assert error is self.lost
            else:
                assert type(error) is RemoteProtocolError
        elif self.lost is not None and not isinstance(self.lost, ConnectionLost):
            assert error is self.lost
        else:
            assert self.ended
            assert isinstance(error, StreamInterrupted)
            assert error.__cause__ is self.lost
            assert error.events_received == len(self.delivered)
            assert error.last_event == (self.delivered[-1] if self.delivered else None)
            assert ("inside an event" if self._cut_inside else self.state.value) in error.message

    # What holds at any time.

    @invariant()
    def it_has_finished_when_nothing_more_has_to_be_read(self) -> None:
        assert self.stream.finished == (self.raised is not None or (self.is_done and (self.went_on or self.end_read)))

    @invariant()
    def it_tells_of_what_was_read_and_of_nothing_else(self) -> None:
        assert self.stream.events_received == len(self.delivered)
        assert self.stream.last_event == (self.delivered[-1] if self.delivered else None)
        texts = [event.data.get("text") for event in self.delivered if event.type in ("token", "delta")]
        assert self.stream.text == printable("".join(text for text in texts if isinstance(text, str)))
        assert self.stream.done == self.is_done
        finals = [event.data for event in self.delivered if event.type == "final"]
        assert self.stream.final == (finals[-1] if finals else None)

    def teardown(self) -> None:
        """What is left is read, before the end and after it."""
        self._read_to_the_last()
        if not self.ended:
            self.the_stream_ends()
            self._read_to_the_last()

    def _read_to_the_last(self) -> None:
        self.events_are_read(None)
        self.it_has_finished_when_nothing_more_has_to_be_read()
        self.it_tells_of_what_was_read_and_of_nothing_else()


TestStreamMachine = StreamMachine.TestCase
TestStreamMachine.settings = settings(stateful_step_count=30)
