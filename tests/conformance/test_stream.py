"""The table "The stream"."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from hestiaos import ConnectionLost, HestiaError, RemoteProtocolError, StreamEvent, StreamInterrupted, TimedOut
from tests.support.measures import memory_stays_bounded
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import KEY, Session
from tests.support.statuses import refusals
from tests.support.steps import Script, close, drip, flood, pause, reset, send, silence
from tests.support.wire import (
    CLOSING_STREAM_HEAD,
    DONE,
    FINAL,
    GOOD_EVENTS,
    GOOD_STREAM,
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
    to_json,
)

LIMIT = 16 * 1024 * 1024


def types(received: Sequence[StreamEvent]) -> list[str]:
    return [event.type for event in received]


def check(
    binding: type[Session], cases: Sequence[tuple[Script, Sequence[str], type[HestiaError] | None]], **options: Any
) -> list[HestiaError | None]:
    """Each script gives these events and then that exception; the same client is served afterwards."""
    errors = []
    timeout = options.pop("stream_timeout", None)
    with Peer(*(script for script, _, _ in cases)) as peer, binding(peer.url, **options) as session:
        for count, (_, expected, kind) in enumerate(cases, start=1):
            reading = session.stream("x", timeout=timeout)
            received, error = reading.read()
            assert types(received) == list(expected), f"stream {count}: {error!r}"
            assert error is None if kind is None else type(error) is kind, f"stream {count}: {error!r}"
            if isinstance(error, StreamInterrupted):
                assert error.events_received == len(received)
                assert error.last_event == (received[-1] if received else None)
            if error is not None:
                assert reading.read() == ([], error)
            assert len(peer.requests) == count
            errors.append(error)
        assert session.call("run", "x").result == "r"
        assert types(session.stream("x").read()[0]) == types_of(GOOD_EVENTS)
        assert len(peer.requests) == len(cases) + 2
    return errors


def types_of(values: Sequence[dict[str, Any]]) -> list[str]:
    return [value["type"] for value in values]


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
def test_no_stream(binding: type[Session]) -> None:
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
    for error, told in zip(
        check(binding, cases), ('{"result":"r"', "<html>the page of ***", "<html>", "x"), strict=True
    ):
        assert told in str(error)


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
def test_ended_early(binding: type[Session]) -> None:
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


@fault("reset inside an event; chunk cut")
def test_cut(binding: type[Session]) -> None:
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
    # Behind `done` nothing is missing.
    whole = events(*GOOD_EVENTS)
    check(binding, [([send(STREAM_HEAD + chunk(whole)), end], types_of(GOOD_EVENTS), None) for end in (close, reset)])


@fault("silence: heartbeats only, for longer than the read timeout")
def test_heartbeats(binding: type[Session]) -> None:
    beat: Script = [pause(0.1), send(chunk(HEARTBEAT))]
    alive = [
        send(STREAM_HEAD),
        *beat * 2,
        send(chunk(event(START))),
        *beat * 8,
        send(chunk(events(TOKEN, FINAL, DONE))),
    ]
    check(binding, [([*alive, send(LAST_CHUNK)], types_of(GOOD_EVENTS), None)], timeout=0.5)
    endless: Script = [send(STREAM_HEAD + chunk(event(START))), *beat * 100]
    (late,) = check(binding, [(endless, ["start"], TimedOut)], timeout=5.0, stream_timeout=0.5)
    assert "0.5 s" in str(late)


@fault("silence without heartbeats")
def test_silence(binding: type[Session]) -> None:
    cases: list[tuple[Script, Sequence[str], type[HestiaError] | None]] = [
        ([silence], [], TimedOut),
        ([send(STREAM_HEAD[:30]), silence], [], TimedOut),
        ([send(STREAM_HEAD), silence], [], TimedOut),
        ([send(STREAM_HEAD + chunk(event(START)) + chunk(event(TOKEN)[:9])), silence], ["start"], TimedOut),
        ([send(CLOSING_STREAM_HEAD + events(START, TOKEN, FINAL)), silence], ["start", "token", "final"], TimedOut),
    ]
    for error in check(binding, cases, timeout=0.2):
        assert "nothing" in str(error) or "silent" in str(error)
    slow_head = STREAM_HEAD.replace(b"\r\n", b"\r\nX-Filler: " + b"x" * 100 + b"\r\n", 1)
    for error in check(binding, [*cases, ([drip(slow_head, 0.02)], [], TimedOut)], stream_timeout=0.2):
        assert "0.2 s" in str(error)


@fault("payload not JSON; not an object; no `type`; `data` not an object")
def test_bad_payloads(binding: type[Session]) -> None:
    bad = [b"x", b"[1]", b'"x"', b"1", b"null", b"true", b"{'type': 'token'}", b'{"type":"token"}}', b'{"a":NaN}']
    bad += [b"{}", b'{"data":{}}', b'{"type":1}', b'{"type":null}']
    bad += [b'{"type":"token","data":%s}' % value for value in (b"[]", b"1", b'"x"', b"null", b"true")]
    bad += [b'{"type":"token","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"]
    bad += [b'{"type":"token",\n', b'{"key": "%s", ' % KEY.encode()]
    for strict in True, False:
        cases = [
            (
                [send(stream(event(START), b"data: " + each + b"\n\n", events(FINAL, DONE)))],
                ["start"],
                RemoteProtocolError,
            )
            for each in bad
        ]
        for error, each in zip(check(binding, cases, strict=strict), bad, strict=True):
            start = each.strip().decode().replace(KEY, "***")[:10]
            assert start in str(error) or repr(start)[1:-1] in str(error)


@fault("a type that this version does not know")
def test_unknown_types(binding: type[Session]) -> None:
    new = {"type": "thought", "data": {"a": [1]}, "trace_id": "t", "timestamp": "now", "more": 1}
    values = (new, START, new, TOKEN, new, FINAL, new, DONE)
    with Peer([send(stream(*map(event, values)))]) as peer, binding(peer.url) as session:
        received, error = session.stream("x").read()
        assert error is None
        assert [each.type for each in received] == types_of(values)
        assert received[2] == StreamEvent("thought", {"a": [1]}, "t", "now")  # type: ignore[arg-type]  # a new one
        assert received[2].extra == {"more": 1}


@fault("wrong order: no `start`, second `start`, token after `final`, `final` twice, anything after `done`")
def test_wrong_order(binding: type[Session]) -> None:
    error_event = {"type": "error", "data": {}}
    tool = {"type": "tool_call", "data": {}}
    new = {"type": "thought"}
    wrong: list[tuple[list[dict[str, Any]], int, str]] = [
        ([TOKEN, FINAL, DONE], 0, "start"),
        ([FINAL, DONE], 0, "start"),
        ([DONE], 0, "start"),
        ([error_event, DONE], 0, "start"),
        ([START, START, FINAL, DONE], 1, "token"),
        ([START, DONE], 1, "token, delta, tool_call, final or error"),
        ([START, FINAL, TOKEN, DONE], 2, "done"),
        ([START, FINAL, tool, DONE], 2, "done"),
        ([START, FINAL, START, DONE], 2, "done"),
        ([START, FINAL, FINAL, DONE], 2, "done"),
        ([START, FINAL, error_event, DONE], 2, "done"),
        ([START, error_event, FINAL, DONE], 2, "done"),
        ([START, FINAL, DONE, DONE], 3, "the end of the stream"),
        ([START, FINAL, DONE, TOKEN], 3, "the end of the stream"),
        ([START, FINAL, DONE, new], 3, "the end of the stream"),
    ]
    scripts: list[Script] = [[send(stream(*map(event, values)))] for values, _, _ in wrong]
    broken = [
        (script, types_of(values[:good]), RemoteProtocolError)
        for script, (values, good, _) in zip(scripts, wrong, strict=True)
    ]
    for error, (_, _, told) in zip(check(binding, broken), wrong, strict=True):
        assert f"where {told}" in str(error)
    lenient = [(script, types_of(values), None) for script, (values, _, _) in zip(scripts, wrong, strict=True)]
    check(binding, lenient, strict=False)


@fault("one event over the limit (default 16 MiB)")
def test_event_over_the_limit(binding: type[Session]) -> None:
    begun = b'data: {"type":"token","data":{"text":"'
    endless = flood(chunk(b"x" * 65536), most=1 << 28)
    lines = flood(chunk(b'data: "' + b"x" * 65536 + b'",\n'), most=1 << 28)
    with memory_stays_bounded(8 * LIMIT):
        cases: list[tuple[Script, Sequence[str], type[HestiaError] | None]] = [
            ([send(STREAM_HEAD + chunk(event(START) + begun)), endless], ["start"], RemoteProtocolError),
            ([send(STREAM_HEAD + chunk(event(START) + b": ")), endless], ["start"], RemoteProtocolError),
            ([send(STREAM_HEAD + chunk(event(START) + b"data: [\n")), lines], ["start"], RemoteProtocolError),
        ]
        for error in check(binding, cases)[:2]:
            assert f"{LIMIT} bytes" in str(error)
    large = event({"type": "token", "data": {"text": "x" * (LIMIT - 100)}})
    check(binding, [([send(stream(event(START), large, events(FINAL, DONE)))], types_of(GOOD_EVENTS), None)])


def short_stream() -> bytes:
    values = [b'{"type":"start"}', b'{"type":"error"}', b'{"type":"done"}']
    return b"data:%s\rdata:%s\r\ndata:%s\n" % tuple(values)


@fault("every cut of a good stream into two and three pieces; one byte at a time; 10,000 events in one piece")
def test_cuts(binding: type[Session]) -> None:
    body, expected = short_stream(), ["start", "error", "done"]
    places = range(1, len(body))
    cuts = [(0, place, len(body)) for place in places]
    cuts += [(0, *pair, len(body)) for pair in itertools.combinations(places, 2)]
    # A chunk is handed on by itself, however many of them arrive at once: so the cuts stay where they are.
    answers = (stream(*(body[a:b] for a, b in itertools.pairwise(cut))) for cut in cuts)
    with Peer() as peer, binding(peer.url) as session:
        for answer in answers:
            peer.add([send(answer)])
            received, error = session.stream("x").read()
            assert error is None
            assert types(received) == expected
        assert len(peer.requests) == len(cuts)
        assert peer.connections == 1


@fault("every cut of a good stream into two and three pieces; one byte at a time; 10,000 events in one piece")
def test_bytes_and_many_events(binding: type[Session]) -> None:
    body = events(*GOOD_EVENTS)
    many = events(START, *[TOKEN] * 10_000, FINAL, DONE)
    cases: list[tuple[Script, Sequence[str], type[HestiaError] | None]] = [
        ([send(stream(*(body[place : place + 1] for place in range(len(body)))))], types_of(GOOD_EVENTS), None),
        ([drip(GOOD_STREAM)], types_of(GOOD_EVENTS), None),
        ([send(CLOSING_STREAM_HEAD), drip(body), close], types_of(GOOD_EVENTS), None),
        ([send(stream(many))], ["start", *["token"] * 10_000, "final", "done"], None),
        ([send(CLOSING_STREAM_HEAD + many), close], ["start", *["token"] * 10_000, "final", "done"], None),
    ]
    check(binding, cases)


@fault("CR, LF and CRLF, mixed; U+2028, U+0085, NUL and emoji in strings; invalid UTF-8")
def test_lines(binding: type[Session]) -> None:
    text = "\u2028\u2029\u0085\0\x0b\x0c🔑é"
    token = '{"type":"token","data":{"text":"' + "\u2028\u2029\u0085\\u0000\\u000b\\u000c🔑é" + '"}}'
    lines = ["data: " + to_json(START).decode(), "", ": x", "data:" + token, "", "data: " + to_json(FINAL).decode(), ""]
    lines += ["id: 1", "data:" + to_json(DONE).decode(), "", ""]
    for end in "\n", "\r", "\r\n":
        body = end.join(lines).encode()
        check_text(binding, [body, b"\xef\xbb\xbf" + body], text)
    mixed = "".join(line + end for line, end in zip(lines, itertools.cycle(["\r", "\n", "\r\n"]), strict=False))
    check_text(binding, [mixed.encode()], text)
    bad = events(START) + b'data: {"type":"token","data":{"text":"a\xff\xc3b"}}\n\n' + events(FINAL, DONE)
    check_text(binding, [bad], "a\ufffd\ufffdb")


def check_text(binding: type[Session], bodies: Sequence[bytes], text: str) -> None:
    with Peer() as peer, binding(peer.url) as session:
        for body in bodies:
            for answer in stream(body), stream(*(body[place : place + 1] for place in range(len(body)))):
                peer.add([send(answer)])
                reading = session.stream("x")
                received, error = reading.read()
                assert error is None
                assert types(received) == types_of(GOOD_EVENTS)
                assert received[1].data == {"text": text}
                assert reading.native.text == text
                assert reading.native.final == {"result": "a"}


@fault("an `error` event, then `done`")
def test_error_event(binding: type[Session]) -> None:
    failed = {"type": "error", "data": {"code": "E", "message": "told"}, "trace_id": "t"}
    with Peer([send(stream(*map(event, (START, TOKEN, failed, DONE))))]) as peer, binding(peer.url) as session:
        reading = session.stream("x")
        received, error = reading.read()
        assert error is None
        assert types(received) == ["start", "token", "error", "done"]
        assert received[2].data == failed["data"]
        assert received[2].trace_id == "t"
        assert reading.native.final is None
        assert session.call("run", "x").result == "r"
        assert peer.connections == 1
