"""The table "The stream": how it comes, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hestiaos import ConnectionLost, HestiaError, RemoteProtocolError, StreamInterrupted, TimedOut
from tests.support.expecting import check, types_of, within
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import KEY, Session
from tests.support.statuses import refusals
from tests.support.steps import Script, close, drip, pause, reset, send, silence
from tests.support.wire import (
    CLOSING_STREAM_HEAD,
    DONE,
    FINAL,
    GOOD_EVENTS,
    HEARTBEAT,
    LAST_CHUNK,
    RUN,
    START,
    STREAM_HEAD,
    TOKEN,
    chunk,
    event,
    events,
    ok,
    response,
    stream,
)


@fault("any of the statuses above instead of the stream")
def test_statuses(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        for refusal in refusals():
            peer.add([send(refusal.raw)])
            reading = session.stream("x")
            for _ in range(2):  # the same again when it is asked again
                with pytest.raises(HestiaError) as raised:
                    reading.next()
                refusal.check(raised.value)
        assert session.stream("x").read()[1] is None
        assert len(peer.requests) == len(list(refusals())) + 1
        assert peer.connections == 1


@fault("200 with `application/json` or `text/html`")
def test_a_response_that_is_not_a_stream(binding: type[Session]) -> None:
    page = f"<html>the page of {KEY}".encode()
    cases: list[tuple[Script, Sequence[str], type[HestiaError] | None]] = [
        ([send(ok(RUN))], [], RemoteProtocolError),
        ([send(response(200, page, content_type="text/html"))], [], RemoteProtocolError),
        (
            [send(CLOSING_STREAM_HEAD.replace(b"text/event-stream", b"text/html") + page), close],
            [],
            RemoteProtocolError,
        ),
        ([send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")], [], RemoteProtocolError),
    ]
    for error, message in zip(
        check(binding, cases), ('{"result":"r"', "<html>the page of ***", "<html>", "x"), strict=True
    ):
        assert message in str(error)


@fault("`text/event-stream; charset=windows-1252`")
def test_charset(binding: type[Session]) -> None:
    body = events(START) + 'data: {"type":"token","data":{"text":"é€🔑"}}\n\n'.encode() + events(FINAL, DONE)
    kinds = "text/event-stream; charset=windows-1252", 'Text/Event-Stream;charset="latin-1"; x=y', "text/event-stream;"
    with Peer(*([send(stream(body, content_type=kind))] for kind in kinds)) as peer, binding(peer.url) as session:
        for _ in kinds:
            reading = session.stream("x")
            received, error = reading.read()
            assert error is None
            assert received[1].data == {"text": "é€🔑"}
            assert reading.native.text == "é€🔑"


CUTS: list[tuple[bytes, list[str]]] = [
    (b"", []),
    (HEARTBEAT, []),
    (b"dat", []),
    (event(START)[:12], []),
    (events(START), ["start"]),
    (events(START)[:-1], ["start"]),
    (events(START) + event(TOKEN)[:15], ["start"]),
    (events(START) + event(TOKEN)[:-3], ["start"]),
    (events(START, TOKEN) + b'data: {"type":\ndata: "tok', ["start", "token"]),
    (events(START, TOKEN, FINAL), ["start", "token", "final"]),
    (events(START, TOKEN, FINAL) + event(DONE)[:-3], ["start", "token", "final"]),
]


@fault("ended cleanly before `done`; inside an event; before `start`; nothing at all")
def test_a_stream_that_ends_before_done(binding: type[Session]) -> None:
    forms: list[Script] = []
    for body, _ in CUTS:
        forms.append([send(CLOSING_STREAM_HEAD + body), close])
        forms.append([send(stream(body) if body else STREAM_HEAD + LAST_CHUNK)])
        forms.append([send(response(200, body, content_type="text/event-stream"))])
    expected = [kinds for _, kinds in CUTS for _ in range(3)]
    cases = [(form, kinds, StreamInterrupted) for form, kinds in zip(forms, expected, strict=True)]
    for error in check(binding, cases):
        assert error is not None
        assert error.__cause__ is None
    for error in check(binding, cases, strict=False):
        assert "before 'done'" in str(error)


ODD_CHUNK = chunk(event(TOKEN)).replace(b"\r\n", b";x=y\r\n", 1)
TRAILERS = b"0\r\nX-Trailer: y\r\n\r\n"


@fault("every cut of a good stream into two and three pieces; one byte at a time; 10,000 events in one piece")
def test_chunks_of_every_kind(binding: type[Session]) -> None:
    """Chunks that a fast path reads, and those that it leaves to h11, make one stream, whose connection is kept."""
    early, first = b"HTTP/1.1 103 Early Hints\r\n\r\n", chunk(event(START))
    middle = chunk(event(TOKEN)) + ODD_CHUNK + chunk(event(TOKEN)) + chunk(event(FINAL))
    whole = STREAM_HEAD + first + middle + chunk(event(DONE)) + TRAILERS
    reads = [
        [whole],
        [early + whole],
        [early, whole],
        [STREAM_HEAD, first, middle, chunk(event(DONE)), TRAILERS],
        [
            STREAM_HEAD[:20],
            STREAM_HEAD[20:] + first[:1],
            first[1:] + middle[:-1],
            middle[-1:] + chunk(event(DONE)),
            TRAILERS,
        ],
    ]
    scripts = [[step for data in each for step in (send(data), pause(0.005))] for each in reads]
    with Peer(*scripts) as peer, binding(peer.url) as session:
        for _ in scripts:
            received, error = session.stream("x").read()
            assert error is None
            assert [each.type for each in received] == ["start", "token", "token", "token", "final", "done"]
        assert peer.connections == 1


@fault("reset inside an event; chunk cut")
def test_a_stream_that_is_cut_off(binding: type[Session]) -> None:
    cases: list[tuple[Script, Sequence[str], type[HestiaError] | None]] = []
    for body, kinds in CUTS:
        cases.append(([send(CLOSING_STREAM_HEAD + body), reset], kinds, StreamInterrupted))
        whole = chunk(body) if body else b""
        cases.append(([send(STREAM_HEAD + whole), reset], kinds, StreamInterrupted))
        cases.append(([send(STREAM_HEAD + whole), close], kinds, StreamInterrupted))
        cases.append(([send(STREAM_HEAD + whole + b"5"), close], kinds, StreamInterrupted))
        cases.append(([send(STREAM_HEAD + b"ffff\r\n" + body), close], kinds, StreamInterrupted))
        cut = response(200, body, content_type="text/event-stream", length=len(body) + 100)
        cases.append(([send(cut), close], kinds, StreamInterrupted))
    for error in check(binding, cases):
        assert error is not None
        assert type(error.__cause__) is ConnectionLost
        assert error.__cause__.__cause__ is not None
        assert not isinstance(error.__cause__.__cause__, HestiaError)
    # After `done` nothing is missing.
    whole = events(*GOOD_EVENTS)
    check(binding, [([send(STREAM_HEAD + chunk(whole)), end], types_of(GOOD_EVENTS), None) for end in (close, reset)])


@fault("silence: heartbeats only, for longer than the read timeout")
def test_heartbeats(binding: type[Session]) -> None:
    def alive(seconds: float) -> None:
        beat: Script = [pause(seconds / 5), send(chunk(HEARTBEAT))]
        end = send(chunk(events(TOKEN, FINAL, DONE)) + LAST_CHUNK)
        script = [send(STREAM_HEAD), *beat * 2, send(chunk(event(START))), *beat * 8, end]
        check(binding, [(script, types_of(GOOD_EVENTS), None)], timeout=seconds)

    def bounded(seconds: float) -> None:
        beat: Script = [pause(seconds / 5), send(chunk(HEARTBEAT))]
        endless: Script = [send(STREAM_HEAD + chunk(event(START))), *beat * 100]
        (late,) = check(binding, [(endless, ["start"], TimedOut)], timeout=10 * seconds, stream_timeout=seconds)
        assert f"{seconds:g} s" in str(late)

    within(0.5, alive)
    within(0.5, bounded)


@fault("silence without heartbeats")
def test_a_stream_that_falls_silent(binding: type[Session]) -> None:
    cases: list[tuple[Script, Sequence[str], type[HestiaError] | None]] = [
        ([silence], [], TimedOut),
        ([send(STREAM_HEAD[:30]), silence], [], TimedOut),
        ([send(STREAM_HEAD), silence], [], TimedOut),
        ([send(STREAM_HEAD + chunk(event(START)) + chunk(event(TOKEN)[:9])), silence], ["start"], TimedOut),
        ([send(CLOSING_STREAM_HEAD + events(START, TOKEN, FINAL)), silence], ["start", "token", "final"], TimedOut),
    ]
    slow_head = STREAM_HEAD.replace(b"\r\n", b"\r\nX-Filler: " + b"x" * 100 + b"\r\n", 1)

    def read(seconds: float) -> None:
        for error in check(binding, cases, timeout=seconds):
            assert "nothing" in str(error) or "silent" in str(error)

    def stream(seconds: float) -> None:
        slow = [drip(slow_head, seconds / 10)]
        for error in check(binding, [*cases, (slow, [], TimedOut)], stream_timeout=seconds):
            assert f"{seconds:g} s" in str(error)

    within(0.2, read)
    within(0.2, stream)
