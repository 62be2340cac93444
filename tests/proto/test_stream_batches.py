"""Events that come together are those that come one by one, whatever else is among them."""

from __future__ import annotations

from itertools import islice, zip_longest

import pytest

from hestiaos_proto import RemoteProtocolError, RunStream, StreamEvent
from hestiaos_proto import _events as events
from tests.support.run_streams import DONE, FINAL, START, TOKEN, feed, frames, steps

TOKENS = [b'data: {"type":"token","data":{"text":"%d "}}\n\n' % number for number in range(200)]
TEXTS = [f"{number} " for number in range(200)]

# What does not go with its neighbours, or not as quickly.
ODD = {
    "another type": '{"type":"tool_call","data":{"text":"no"}}',
    "no text": '{"type":"token","data":{"x":1}}',
    "a text that is none": '{"type":"token","data":{"text":1}}',
    "no data": '{"type":"token"}',
    "an unknown type": '{"type":"news","data":{"text":"no"}}',
    "another field": '{"type":"token","data":{"text":"é"},"seq":1}',
    "null for the trace id": '{"type":"delta","data":{"text":"é"},"trace_id":null}',
    "an object in the data": '{"type":"delta","data":{"text":"é","x":{}}}',
    "128 levels": '{"type":"token","data":{"text":"é","x":' + "[" * 126 + "]" * 126 + "}}",
    "129 levels": '{"type":"token","data":{"text":"é","x":' + "[" * 127 + "]" * 127 + "}}",
    "a long text": '{"type":"token","data":{"text":"' + "é" * 300 + '"}}',
    "half a character": '{"type":"token","data":{"text":"\\ud83d"}}',
    "every number": '{"type":"token","data":{"text":"é","x":1e400}}',
    "large numbers": '{"type":"token","data":{"text":"é","x":1' + "0" * 30 + ',"y":-0.0,"z":5e-324}}',
    "an empty payload": "",
    "not JSON": "{",
    "two objects": '{"type":"token"}{"type":"token"}',
    "wrong data": '{"type":"token","data":[]}',
    "out of order": '{"type":"start"}',
    "the end of the run": '{"type":"final","data":{"result":1}}',
}


@pytest.fixture(params=["as installed", "without msgspec"], autouse=True)
def _readers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "without msgspec":
        monkeypatch.setattr(events, "_read_record", None)
        monkeypatch.setattr(events, "_read_text_record", None)


@pytest.mark.parametrize(
    ("place", "end", "strict"),
    [
        (0, b"\n", True),
        (1, b"\r\n", False),
        (62, b"\n", True),
        (63, b"\n", False),
        (64, b"\r\n", True),
        (100, b"\n", True),
    ],
)
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_one_among_others(odd: str, place: int, end: bytes, strict: bool) -> None:
    """Together and alone the same events are handed out, and the stream says the same at each."""
    several = [START, *TOKENS[:place], frames(odd), *TOKENS[place:101], FINAL, DONE]
    pieces = [piece.replace(b"\n", end) for piece in several]
    together = steps(RunStream(strict=strict), [b"".join(pieces), b""])
    alone = steps(RunStream(strict=strict), [*pieces, b""])
    for one, other in zip_longest(together, alone):
        assert one == other


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
        START + b'data: {"type":"token"}\n"data":1\n\n' + TOKEN,
        START + b'data: {"type":"token"}\r"data":1\n\n' + TOKEN,
        START + TOKEN.replace(b"\n", b"\r\n") + TOKEN,
        START + TOKEN + TOKEN.replace(b"\n", b"\r\n"),
        START + TOKEN[:-1] + b"\r\n" + TOKEN[:-1] + b"\r\n",
    ],
    ids=ascii,
)
def test_blocks_that_are_not_plain(data: bytes) -> None:
    for size in (len(data), 200, 40, 7, 1):
        stream = RunStream()
        events, fault = feed(stream, [data[i : i + size] for i in range(0, len(data), size)])
        assert ([event.type for event in events], fault) == (["start", "token", "token"], None)


def test_whole_events_do_not_complete_an_object_that_has_begun() -> None:
    events, fault = feed(RunStream(), [b'data: {"a":\n', START + TOKEN])
    assert events == []
    assert isinstance(fault, RemoteProtocolError)


def test_what_an_iterator_leaves_another_gives() -> None:
    stream = RunStream()
    stream.receive_data(b"".join([START, *TOKENS, FINAL, DONE]))
    given = [next(stream.events()) for _ in range(150)]
    one, other = stream.events(), stream.events()
    for _ in range(20):
        given += [next(one), next(other)]
    assert stream.events_received == len(given) == 190
    assert stream.text == "".join(TEXTS[:189])
    given += one
    assert list(other) == []
    assert given == feed(RunStream(), [START, *TOKENS, FINAL, DONE])[0]
    assert stream.text == "".join(TEXTS)


def test_an_iterator_goes_on_with_what_comes_while_it_is_used() -> None:
    stream = RunStream()
    stream.receive_data(START + TOKENS[0] + TOKENS[1])
    events = stream.events()
    assert [next(events).type for _ in range(2)] == ["start", "token"]
    stream.receive_data(b"".join(TOKENS[2:]))
    assert len(list(events)) == 199


def test_the_text_is_what_came_and_not_what_a_caller_makes_of_it() -> None:
    stream = RunStream()
    stream.receive_data(b"".join([START, *TOKENS]))
    for event in stream.events():
        event.data.clear()
    assert stream.text == "".join(TEXTS)


def test_the_text_is_asked_for_at_some_events_of_many() -> None:
    stream = RunStream()
    stream.receive_data(b"".join([START, *TOKENS]))
    for count, _ in enumerate(stream.events()):
        if count % 30 in (0, 1, 29):
            assert stream.text == "".join(TEXTS[:count])
    assert stream.text == "".join(TEXTS)


def test_a_fault_after_a_batch_counts_what_was_handed_out() -> None:
    stream = RunStream()
    stream.receive_data(b"".join([START, *TOKENS, START]))
    events = stream.events()
    for _ in range(201):
        last = next(events)
    with pytest.raises(RemoteProtocolError, match="'start' came where token"):
        next(events)
    assert (stream.events_received, stream.last_event) == (201, last)


def test_events_alone_and_together_by_turns() -> None:
    stream = RunStream()
    pieces = [START, TOKENS[0], b"".join(TOKENS[1:100]), TOKENS[100], b"".join(TOKENS[101:]), FINAL + DONE, b""]
    given = []
    for piece in pieces:
        stream.receive_data(piece)
        for event in stream.events():
            given.append(event)
            assert stream.events_received == len(given)
            assert stream.last_event is event
    assert given[1:-2] == [StreamEvent("token", {"text": text}) for text in TEXTS]
    assert stream.text == "".join(TEXTS)
    assert stream.finished


@pytest.mark.parametrize("first", [1, 2, 70], ids=["alone", "with others", "in a second batch"])
@pytest.mark.parametrize("by_turns", [1, 3, 50])
def test_two_iterators_by_turns_give_each_event_once(first: int, by_turns: int) -> None:
    """Of events that came alone, and of those that came together, texts and others."""
    pieces = [START, *TOKENS[:70], frames(ODD["another type"]), *TOKENS[70:], frames(ODD["another field"]), FINAL, DONE]
    expected, _ = feed(RunStream(), pieces)
    stream = RunStream()
    stream.receive_data(b"".join(pieces[:first]))
    turns = [stream.events(), stream.events()]
    given = [next(turns[0]) for _ in range(first)]
    stream.receive_data(b"".join(pieces[first:]))
    stream.receive_data(b"")
    while more := list(islice(turns[1], by_turns)):
        given += more
        turns.reverse()
    assert given == expected
    assert stream.finished


@pytest.mark.parametrize("together", [True, False], ids=["together", "alone"])
def test_an_iterator_that_was_left_raises_the_fault_that_another_has_come_to(together: bool) -> None:
    stream = RunStream()
    pieces = [START, START, START]
    for piece in [b"".join(pieces)] if together else pieces:
        stream.receive_data(piece)
    left = stream.events()
    next(left)
    with pytest.raises(RemoteProtocolError) as first:
        next(stream.events())
    with pytest.raises(RemoteProtocolError) as again:
        next(left)
    assert again.value is first.value
    assert stream.events_received == 1
