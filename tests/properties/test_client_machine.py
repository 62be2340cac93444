"""`ClientConnection` as a state machine: however its bytes are cut, each operation comes to its one answer.

The model is the answer's script: from which of its bytes on what is known.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hestiaos_proto import (
    ClientConnection,
    ConnectionLost,
    GovernanceBlock,
    HealthResponse,
    HestiaError,
    LocalProtocolError,
    Operation,
    RemoteProtocolError,
    RunStream,
    ServerError,
    StreamEvent,
    StreamInterrupted,
    TimedOut,
    operations,
)
from hestiaos_proto._connection import ConnectionState
from tests.support.exchanges import result_of

HEALTH = b'{"status":"ok","version":"1","uptime_seconds":2}'
BLOCKED = b'{"error":"e","code":"GOVERNANCE_BLOCK","message":"no","trace_id":"t"}'


@frozen
class Script:
    """What a server answers, and at which of its bytes what is known; `None` is never."""

    wire: bytes
    operation: Operation[Any]
    head: int | None = None
    whole: int | None = None  # the whole response; without it, that comes with the end of the connection
    broken: int | None = None  # where it stops being HTTP/1.1
    kept: bool = True  # whether the connection goes on after it
    result: object = None  # what it comes to, or the class of what is raised
    refusal: bool = False  # whose status is its result, whatever happens to its body
    events: tuple[tuple[int, StreamEvent], ...] = ()
    wrong: int | None = None  # where the stream breaks the frozen order
    beat: int | None = None  # where a heartbeat comes after `done`

    @property
    def streams(self) -> bool:
        return self.result is RunStream


def framed(body: bytes, way: str, sizes: list[int]) -> tuple[bytes, bytes, list[int]]:
    """The header for a body sent so, the body as it is sent, and where each of its bytes has arrived."""
    if way == "length":
        return b"Content-Length: %d\r\n" % len(body), body, list(range(1, len(body) + 1))
    if way == "end":
        return b"", body, list(range(1, len(body) + 1))
    out, places, start = b"", [], 0
    for size in [*sizes, len(body)]:
        if piece := body[start : start + size]:
            out += b"%x\r\n" % len(piece)
            places += range(len(out) + 1, len(out) + len(piece) + 1)
            out += piece + b"\r\n"
            start += size
    return b"Transfer-Encoding: chunked\r\n", out + b"0\r\n\r\n", places


SIZES = st.lists(st.integers(1, 60), max_size=5)
WAYS = st.sampled_from(["length", "chunked", "end"])
FIRST = st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"])
CLOSING = st.sampled_from([b"", b"Connection: close\r\n"])


@st.composite
def whole_answers(draw: st.DrawFn) -> Script:
    """A status and a body."""
    operation, status, body, result = draw(
        st.sampled_from(
            [
                (operations.health(), b"200 OK", HEALTH, HealthResponse("ok", "1", 2)),
                (operations.health(), b"200 OK", b"[]", RemoteProtocolError),
                (operations.delete_secret("k"), b"200 OK", b"{}", None),
                (operations.run("x"), b"403 Forbidden", BLOCKED, GovernanceBlock),
                (operations.run_stream("x"), b"503 Busy", b"<html>", ServerError),
                (operations.run_stream("x"), b"200 OK", HEALTH, RemoteProtocolError),
                (operations.governance_trace("c"), b"404 Not Found", b"", None),
            ]
        )
    )
    way, first, closing = draw(WAYS), draw(FIRST), draw(CLOSING)
    header, sent, _ = framed(body, way, draw(SIZES))
    head = first + b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\n" + closing + header + b"\r\n"
    wire = head + sent
    return Script(
        wire,
        operation,
        head=len(head),
        whole=None if way == "end" else len(wire),
        kept=way != "end" and not closing,
        result=result,
        refusal=not status.startswith(b"2"),
    )


@st.composite
def streams(draw: st.DrawFn) -> Script:
    """A stream that conforms, breaks off, breaks the order, or is kept open after `done`."""
    kinds = ["start", *draw(st.lists(st.sampled_from(["token", "ping"]), max_size=2)), "final", "done"]
    turn = draw(st.sampled_from(["conforming", "cut", "wrong", "open"]))
    if turn == "cut":
        kinds = kinds[: draw(st.integers(0, len(kinds) - 1))]
    body, places, wrong, beat = b"", [], None, None
    for kind in kinds:
        event = StreamEvent(kind, {"text": kind})  # type: ignore[arg-type]  # a type that is not known, too
        body += b"data: " + json.dumps(event.to_wire()).encode() + b"\n"
        places.append((len(body), event))
        body += b"\n"
    if turn == "wrong":
        body += b'data: {"type":"start"}\n'
        wrong = len(body)
    if turn == "open":
        body += b": heartbeat\n"
        beat = len(body)
    way, closing = draw(WAYS), draw(CLOSING)
    header, sent, arrives = framed(body, way, draw(SIZES))
    head = draw(FIRST) + b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + closing + header + b"\r\n"

    def at(place: int | None) -> int | None:
        return None if place is None else len(head) + arrives[place - 1]

    wire = head + sent
    return Script(
        wire,
        operations.run_stream("x"),
        head=len(head),
        whole=None if way == "end" else len(wire),
        kept=way != "end" and not closing,
        result=RunStream,
        events=tuple((len(head) + arrives[place - 1], event) for place, event in places),
        wrong=at(wrong),
        beat=at(beat),
    )


@st.composite
def broken_answers(draw: st.DrawFn) -> Script:
    """An answer that stops being HTTP/1.1, at once or inside its body."""
    if draw(st.booleans()):
        wire, broken = draw(
            st.sampled_from([(b"garbage", 1), (b"HTTX/1.1 200 OK\r\n\r\n", 4), (b"HTTP/1.1 2 OK\r\n\r\n", 17)])
        )
        return Script(wire, draw(st.sampled_from([operations.health(), operations.run_stream("x")])), broken=broken)
    script = draw(streams() | whole_answers())
    start = script.wire.rindex(b"\r\n\r\n", 0, script.head) + 4
    header = b"Transfer-Encoding: chunked\r\n"
    if header not in script.wire[:start] or script.beat is not None:
        return script
    wire = script.wire.removesuffix(b"0\r\n\r\n") + b"xyz\r\n"
    return Script(
        wire,
        script.operation,
        head=script.head,
        broken=len(wire),
        result=script.result,
        refusal=script.refusal,
        events=script.events,
        wrong=script.wrong,
    )


ANSWERS = streams() | whole_answers() | broken_answers()
FAULTS = st.sampled_from([ConnectionLost, TimedOut, RemoteProtocolError, LocalProtocolError])


class ClientMachine(RuleBasedStateMachine):
    @initialize(before=st.lists(ANSWERS, max_size=2), script=st.none() | ANSWERS, server_timeout=st.integers(0, 6))
    def begin(self, before: list[Script], script: Script | None, server_timeout: int) -> None:
        self.server_timeout = server_timeout  # so many steps the network holds, so that a connection lives to be used
        self.connection = ClientConnection()
        self.script: Script | None = None
        self.at = 0
        self.served = False  # an operation before this one was answered
        self.whole = False  # this one was
        self.closed = False
        self.fault: type[HestiaError] | None = None
        self.handed_in: HestiaError | None = None  # the fault itself, where it was handed in
        self.answers = 0
        self.delivered = 0
        self.raised: HestiaError | None = None  # by the stream
        self.over = False  # the stream, for a heartbeat after `done`
        for each in before:
            if self.is_reusable:
                self.an_operation_is_sent(each)
                self.all_the_rest_arrives(b"")
                self.events_are_read(None)
        if script is not None and self.is_reusable:
            self.an_operation_is_sent(script)

    # What a server and the network do.

    @precondition(lambda self: self.left and not self.closed)
    @rule(size=st.integers(1, 300))
    def a_piece_arrives(self, size: int) -> None:
        assert self.script is not None
        self._receive(self.script.wire[self.at : self.at + size])

    @precondition(lambda self: self.left and not self.closed)
    @rule(more=st.sampled_from([b"H", b"", b"HTTP/1.1 200 OK\r\n\r\n"]))
    def all_the_rest_arrives(self, more: bytes) -> None:
        assert self.script is not None
        if self.script.whole is None:
            more = b""
        self._receive(self.script.wire[self.at :] + more)

    @precondition(lambda self: self.server_timeout <= 0 and not self.asking and not self.closed)
    @rule()
    def something_arrives_that_nobody_asked_for(self) -> None:
        self._receive(b"HTTP/1.1 200 OK\r\n\r\n")

    @precondition(lambda self: self.server_timeout <= 0 and not self.closed)
    @rule()
    def the_server_closes(self) -> None:
        if self.left and self._goes_up_to_the_end and not self._is_stream:
            self.all_the_rest_arrives(b"")  # nothing shows that such a body was cut
        self.connection.receive_data(b"")
        self.closed = True
        if not self.asking or self.fault is not None:
            return
        if self._goes_up_to_the_end:
            self.whole = True
            self.answers += 1
        else:
            self._fail(ConnectionLost)

    @property
    def _goes_up_to_the_end(self) -> bool:
        assert self.script is not None
        return self._head_is_here and self.script.whole is None and self.script.broken is None

    @precondition(lambda self: self.closed)
    @rule(data=st.sampled_from([b"", b"x"]))
    def something_is_received_after_the_end(self, data: bytes) -> None:
        with pytest.raises(LocalProtocolError, match="after the end of the connection"):
            self.connection.receive_data(data)

    # Where a whole stream is not read yet, see the test below.
    @precondition(lambda self: self.server_timeout <= 0)
    @rule(kind=FAULTS)
    def the_connection_is_lost(self, kind: type[HestiaError]) -> None:
        error = kind("as it was handed in")
        self.connection.connection_lost(error)
        if self.fault is None:
            self._fail(kind)
            self.handed_in = error

    def _receive(self, data: bytes) -> None:
        self.server_timeout -= 1
        self.connection.receive_data(data)
        if self.fault is not None:
            return
        if not self.asking:
            self._fail(RemoteProtocolError)
            return
        assert self.script is not None
        self.at += len(data)
        if self.script.broken is not None and self.at >= self.script.broken:
            self._fail(RemoteProtocolError)
        elif self.script.whole is not None and self.at >= self.script.whole:
            self.whole = True
            self.answers += 1
            if self.at > self.script.whole:
                self._fail(RemoteProtocolError)

    def _fail(self, kind: type[HestiaError]) -> None:
        self.fault = kind

    # What a caller does.

    @precondition(lambda self: self.is_reusable)
    @rule(script=ANSWERS)
    def an_operation_is_sent(self, script: Script) -> None:
        out = self.connection.send(script.operation)
        assert out.startswith(script.operation.route.method.encode() + b" ")
        self.served, self.script, self.at, self.whole = self.whole, script, 0, False
        self.delivered, self.raised, self.over = 0, None, False

    @precondition(lambda self: not self.is_reusable)
    @rule()
    def another_cannot_be_sent(self) -> None:
        with pytest.raises(LocalProtocolError, match="open a new one" if self.is_finished else "is in progress"):
            self.connection.send(operations.health())

    @rule(most=st.none() | st.integers(1, 2))
    def events_are_read(self, most: int | None) -> None:
        self.server_timeout -= 1
        events = self.connection.events()
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
            assert self.raised is None
            assert self._arrived[self.delivered :][:1] == [event]
            self.delivered += 1
            count += 1

    def _is_expected(self, error: HestiaError) -> None:
        assert self.script is not None
        if not self._is_stream:
            assert self.is_finished
            assert isinstance(self._outcome, type)
            assert type(error) is self._outcome
            assert self.whole or self._is_refusal or self.handed_in in (None, error)
            if isinstance(error, ConnectionLost):
                assert error.stale == (self.served and self.at == 0)
            return
        if self.raised is not None:
            assert error is self.raised
            return
        self.raised = error
        assert self.delivered == len(self._arrived)  # the fault stands after all that arrived whole
        assert type(error) is self._stream_fault

    def _nothing_is_left(self) -> None:
        assert self.raised is None
        if self._is_stream:
            assert self.script is not None
            assert self.delivered == len(self._arrived)
            assert self._stream_fault is None
            self.over |= self.script.beat is not None and self.at >= self.script.beat
        elif self.script is not None and self.is_finished:
            assert not self._raises

    @property
    def _stream_fault(self) -> type[HestiaError] | None:
        """What the stream raises after its events."""
        assert self.script is not None
        if self._is_here(self.script.wrong):
            return RemoteProtocolError
        done = any(event.type == "done" for event in self._arrived)
        # After `done` nothing is missing, but what has begun there has to end.
        begun = self.script.wrong is not None and b"{" in self.script.wire[self.script.events[-1][0] : self.at]
        if not self._has_ended or (done and not begun):
            return None
        if not self.whole and self.fault not in (None, ConnectionLost):
            return self.fault
        return RemoteProtocolError if done else StreamInterrupted

    @property
    def _has_ended(self) -> bool:
        return self.whole or self.closed or self.fault is not None

    def _is_here(self, place: int | None) -> bool:
        """Whether the event whose line ends at this place has arrived. At the end, a line needs no line end."""
        assert self.script is not None
        if place is None or place <= self.at:
            return place is not None
        return self._has_ended and b"}" not in self.script.wire[self.at : place]

    # The model's own words.

    @property
    def asking(self) -> bool:
        return self.script is not None and not self.whole

    @property
    def left(self) -> bool:
        return self.asking and self.script is not None and self.at < len(self.script.wire)

    @property
    def _head_is_here(self) -> bool:
        return self.script is not None and self.script.head is not None and self.at >= self.script.head

    @property
    def _is_stream(self) -> bool:
        return self._head_is_here and self.script is not None and self.script.streams

    @property
    def _is_refusal(self) -> bool:
        return self._head_is_here and self.script is not None and self.script.refusal

    @property
    def _arrived(self) -> list[StreamEvent]:
        assert self.script is not None
        return [event for place, event in self.script.events if self._is_here(place)]

    @property
    def is_finished(self) -> bool:
        return not self.asking or self.fault is not None or (self._is_stream and (self.raised is not None or self.over))

    @property
    def is_reusable(self) -> bool:
        kept = self.script is None or self.script.kept
        return not self.asking and kept and not self.closed and self.fault is None

    @property
    def state(self) -> ConnectionState:
        if self.fault is not None:
            return ConnectionState.ERROR
        if self.closed or (self.whole and not self.is_reusable):
            return ConnectionState.CLOSED
        if self.script is None or self.whole:
            return ConnectionState.IDLE if self.script is None else ConnectionState.DONE
        if not self._head_is_here:
            return ConnectionState.WAITING
        return ConnectionState.STREAMING if self.script.streams else ConnectionState.BODY

    @property
    def _outcome(self) -> object:
        assert self.script is not None
        return self.script.result if self.whole or self._is_refusal else self.fault

    @property
    def _raises(self) -> bool:
        return isinstance(self._outcome, type)

    # What holds at any time.

    @invariant()
    def it_tells_whether_it_has_finished_and_can_go_on(self) -> None:
        assert self.connection.finished == self.is_finished
        assert self.connection.reusable == self.is_reusable
        assert self.connection.state is self.state
        assert repr(self.connection).endswith(f", {self.state.name})")

    @invariant()
    def its_response_is_there_from_the_head_on(self) -> None:
        if self.script is None:
            return
        if self.fault is not None and not self.whole and not self._is_stream and not self._is_refusal:
            with pytest.raises(self.fault) as caught:
                _ = self.connection.response
            assert self.handed_in in (None, caught.value)
            return
        response = self.connection.response
        if self._head_is_here:
            assert response is not None
            assert (response.stream is not None) == self.script.streams
        else:
            assert response is None

    @invariant()
    def its_result_is_what_the_script_says(self) -> None:
        if self.script is None or not self.is_finished:
            with pytest.raises(LocalProtocolError, match="there is no result yet"):
                result_of(self.connection)
        elif self._is_stream:
            assert isinstance(result_of(self.connection), RunStream)
        elif self._raises:
            with pytest.raises(HestiaError) as caught:
                result_of(self.connection)
            assert type(caught.value) is self._outcome
        else:
            assert result_of(self.connection) == self._outcome

    def teardown(self) -> None:
        """What is left is read, before the server closes and after that."""
        self._read_to_the_last()
        if self.left and not self.closed:
            self.all_the_rest_arrives(b"")
            self._read_to_the_last()
        if not self.closed:
            self.the_server_closes()
            self._read_to_the_last()

    def _read_to_the_last(self) -> None:
        self.events_are_read(None)
        self.it_tells_whether_it_has_finished_and_can_go_on()
        self.its_response_is_there_from_the_head_on()
        self.its_result_is_what_the_script_says()


TestClientMachine = ClientMachine.TestCase
TestClientMachine.settings = settings(stateful_step_count=25)


def test_a_fault_after_the_end_of_a_stream_is_not_the_stream_s() -> None:
    connection = ClientConnection()
    connection.send(operations.run_stream("x"))
    connection.receive_data(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n")
    connection.connection_lost(TimedOut("after the answer"))
    with pytest.raises(StreamInterrupted):
        list(connection.events())
