"""`RunStream`, each state by each type of event, strict or not: it takes what the frozen order lets it take."""

from __future__ import annotations

import pytest

from hestiaos_proto import (
    ConnectionLost,
    HestiaError,
    RemoteProtocolError,
    RunStream,
    StreamEvent,
    StreamInterrupted,
    TimedOut,
)
from hestiaos_proto._stream import ORDER, StreamState

# From each state by each type to a state; a dot is a refusal, and "ping" stands for every type that is not known.
HEAD, *ROWS = """
              start     token     delta     tool_call final     error     done      ping
    IDLE      RUNNING   .         .         .         .         .         .         IDLE
    RUNNING   .         RUNNING   RUNNING   RUNNING   CONCLUDED CONCLUDED .         RUNNING
    CONCLUDED .         .         .         .         .         .         DONE      CONCLUDED
    DONE      .         .         .         .         .         .         .         .
""".strip().splitlines()
TABLE = {
    (StreamState[state], kind): None if after == "." else StreamState[after]
    for state, *cells in map(str.split, ROWS)
    for kind, after in zip(HEAD.split(), cells, strict=True)
}
WAYS = {
    StreamState.IDLE: [],
    StreamState.RUNNING: ["start"],
    StreamState.CONCLUDED: ["start", "final"],
    StreamState.DONE: ["start", "final", "done"],
}
UNKNOWN = ["ping", "", "START", "start ", "é", "None"]
PAIRS = [(state, kind) for state, known in TABLE for kind in (UNKNOWN if known == "ping" else [known])]

by_pair = pytest.mark.parametrize(("state", "kind"), PAIRS, ids=lambda value: getattr(value, "name", repr(value)))


def payload(kind: str) -> bytes:
    return b'data: {"type":"%b"}\n\n' % kind.encode()


def stream_in(state: StreamState, *, strict: bool) -> RunStream:
    """A stream in this state, with nothing left to read."""
    stream = RunStream(strict=strict)
    for kind in WAYS[state]:
        stream.receive_data(payload(kind))
        assert list(stream.events()) == [StreamEvent(kind)]  # type: ignore[arg-type]  # of the table
    return stream


def takes(stream: RunStream, kind: str) -> bool:
    """Whether the stream gives this event, or refuses it."""
    stream.receive_data(payload(kind))
    try:
        (event,) = stream.events()
    except RemoteProtocolError as error:
        if f"the events are out of order: {kind!r} came where" in error.message:
            return False
        raise
    assert event == StreamEvent(kind)  # type: ignore[arg-type]  # a type that is not known, too
    return True


def test_no_pair_is_missing() -> None:
    known = {kind for row in ORDER.values() for kind in row}
    assert set(TABLE) == {(state, kind) for state in StreamState for kind in known | {"ping"}}
    assert known.isdisjoint(UNKNOWN)
    assert set(WAYS) == set(StreamState)


def test_the_table_is_that_of_the_code() -> None:
    assert {state: dict(row) for state, row in ORDER.items()} == {
        state: {kind: TABLE[state, kind] for kind in HEAD.split() if kind != "ping" and TABLE[state, kind] is not None}
        for state in StreamState
    }


@by_pair
def test_each_pair_with_strict(state: StreamState, kind: str) -> None:
    """The event is given, and the stream stands where the table says, or it is refused and nothing comes any more."""
    after = TABLE[state, kind if kind not in UNKNOWN else "ping"]
    stream = stream_in(state, strict=True)
    assert takes(stream, kind) == (after is not None)
    if after is None:
        with pytest.raises(RemoteProtocolError, match=f"came where {state.value} was expected") as refused:
            list(stream.events())
        stream.receive_data(payload("done"))
        with pytest.raises(RemoteProtocolError) as again:
            list(stream.events())
        assert again.value is refused.value
        assert stream.finished
        assert stream.events_received == len(WAYS[state])
        return
    assert stream.events_received == len(WAYS[state]) + 1
    for then in [*HEAD.split(), *UNKNOWN]:  # where it stands shows in what it takes next
        stream = stream_in(state, strict=True)
        assert takes(stream, kind)
        assert takes(stream, then) == (TABLE[after, then if then not in UNKNOWN else "ping"] is not None)


@by_pair
def test_each_pair_without_strict(state: StreamState, kind: str) -> None:
    """Every event is given, whatever came before it."""
    stream = stream_in(state, strict=False)
    assert takes(stream, kind)
    for then in [*HEAD.split(), *UNKNOWN]:
        assert takes(stream, then)
    assert stream.events_received == len(WAYS[state]) + 1 + len([*HEAD.split(), *UNKNOWN])


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("lost", [None, ConnectionLost("reset"), TimedOut("slow"), RemoteProtocolError("bad chunk")])
@pytest.mark.parametrize("state", StreamState)
def test_the_end_of_the_stream_in_each_state(state: StreamState, lost: HestiaError | None, strict: bool) -> None:
    """After `done` an end of any kind is one; before it, it is an interruption that says what should have come."""
    stream = stream_in(state, strict=strict)
    if lost is None:
        stream.receive_data(b"")
    else:
        stream.connection_lost(lost)
    if state is StreamState.DONE:
        assert list(stream.events()) == []
    else:
        with pytest.raises(HestiaError) as caught:
            list(stream.events())
        if lost is None or isinstance(lost, ConnectionLost):
            assert isinstance(caught.value, StreamInterrupted)
            assert f"where {state.value} was expected" in caught.value.message
            assert caught.value.__cause__ is lost
        else:
            assert caught.value is lost
    assert stream.finished


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "line", [b"", b": heartbeat", b"event: x", b"id: 7", b"retry: 5", b"data:", b"other"], ids=repr
)
@pytest.mark.parametrize("state", StreamState)
def test_a_line_that_is_not_part_of_an_event(state: StreamState, line: bytes, strict: bool) -> None:
    """It changes nothing, but that after `done` it is the end."""
    stream = stream_in(state, strict=strict)
    assert stream.done == (state is StreamState.DONE)
    assert not stream.finished
    stream.receive_data(line + b"\n\n")
    assert list(stream.events()) == []
    assert stream.finished == (state is StreamState.DONE)
    for kind in HEAD.split():
        stream = stream_in(state, strict=True)
        stream.receive_data(line + b"\n\n")
        assert takes(stream, kind) == (TABLE[state, kind] is not None)
