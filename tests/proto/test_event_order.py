"""The frozen order of a run's events: `start → (token | delta | tool_call)* → (final | error) → done`."""

from __future__ import annotations

import pytest

from hestiaos_proto import ORDER, RemoteProtocolError, RunStream, StreamEvent, StreamState
from tests.support.run_streams import DONE, FINAL, GOOD, START, TOKEN, TYPES, fault_of, feed, frames, whole

# How to come to each state of the order.
WAY_TO = {
    StreamState.IDLE: b":\n",
    StreamState.RUNNING: START,
    StreamState.CONCLUDED: START + FINAL,
    StreamState.DONE: START + FINAL + DONE,
}


def test_the_table_is_the_frozen_order() -> None:
    running = dict.fromkeys(("token", "delta", "tool_call"), StreamState.RUNNING)
    expected = {
        StreamState.IDLE: {"start": StreamState.RUNNING},
        StreamState.RUNNING: running | {"final": StreamState.CONCLUDED, "error": StreamState.CONCLUDED},
        StreamState.CONCLUDED: {"done": StreamState.DONE},
        StreamState.DONE: {},
    }
    assert expected == ORDER


@pytest.mark.parametrize("state", ORDER, ids=lambda state: state.name)
def test_a_state_says_what_may_come(state: StreamState) -> None:
    words = state.value.replace(" or ", ", ").split(", ")
    assert words == (list(ORDER[state]) or ["the end of the stream"])


@pytest.mark.parametrize("state", StreamState, ids=lambda state: state.name)
@pytest.mark.parametrize("kind", TYPES)
def test_strict_takes_what_the_table_allows_and_nothing_else(state: StreamState, kind: str) -> None:
    stream = RunStream()
    before, _ = feed(stream, [WAY_TO[state]])
    events, fault = feed(stream, [frames(f'{{"type":"{kind}"}}')])
    if kind in ORDER[state]:
        assert [event.type for event in events] == [kind]
        assert fault is None
    else:
        assert events == []
        assert type(fault) is RemoteProtocolError
        assert fault.message == f"the events are out of order: '{kind}' came where {state.value} was expected"
        assert stream.events_received == len(before)


@pytest.mark.parametrize("state", StreamState, ids=lambda state: state.name)
@pytest.mark.parametrize("kind", [*TYPES, "new"])
def test_not_strict_takes_everything_everywhere(state: StreamState, kind: str) -> None:
    stream = RunStream(strict=False)
    feed(stream, [WAY_TO[state]])
    events, fault = feed(stream, [frames(f'{{"type":"{kind}"}}')])
    assert ([event.type for event in events], fault) == ([kind], None)


@pytest.mark.parametrize(
    "state", [StreamState.IDLE, StreamState.RUNNING, StreamState.CONCLUDED], ids=lambda state: state.name
)
def test_an_unknown_type_is_delivered_and_leaves_the_order_as_it_is(state: StreamState) -> None:
    rest = {StreamState.IDLE: GOOD, StreamState.RUNNING: TOKEN + FINAL + DONE, StreamState.CONCLUDED: DONE}[state]
    with_unknown = WAY_TO[state] + frames('{"type":"new","data":{"x":1}}', '{"type":""}') + rest
    events = whole(with_unknown)
    assert StreamEvent("new", {"x": 1}) in events
    assert [e for e in events if e.type in TYPES] == whole(WAY_TO[state] + rest)


def test_nothing_follows_done_not_even_an_unknown_type() -> None:
    delivered, fault = fault_of(GOOD + frames('{"type":"new"}'))
    assert delivered == 4
    assert "'new' came where the end of the stream was expected" in str(fault)


@pytest.mark.parametrize("between", [b"", b": heartbeat\n"], ids=["at once", "after a heartbeat"])
@pytest.mark.parametrize("end", [b"", b"\n"], ids=["line without end", "line with end"])
def test_nothing_follows_done_in_whatever_line(between: bytes, end: bytes) -> None:
    delivered, fault = fault_of(GOOD + between + TOKEN.rstrip() + end)
    assert delivered == 4
    assert "'token' came where the end of the stream was expected" in str(fault)


def test_an_error_event_is_an_event_and_raises_nothing() -> None:
    events = whole(START + frames('{"type":"error","data":{"code":"X"}}', '{"type":"done"}'))
    assert [event.type for event in events] == ["start", "error", "done"]
    assert events[1].data == {"code": "X"}


def test_events_before_the_fault_come_first_one_by_one() -> None:
    stream = RunStream()
    stream.receive_data(START + TOKEN + START)
    events = stream.events()
    assert next(events).type == "start"
    assert next(events).type == "token"
    with pytest.raises(RemoteProtocolError, match="'start' came where token"):
        next(events)


def test_a_failed_stream_raises_the_same_error_again_whatever_comes() -> None:
    stream = RunStream()
    _, first = feed(stream, [START + START])
    _, second = feed(stream, [TOKEN])
    _, third = feed(stream, [b""])
    assert first is not None
    assert first is second is third
    assert stream.events_received == 1
