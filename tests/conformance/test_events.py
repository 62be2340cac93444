"""The table "The stream": what its events are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from hestiaos import HestiaError, RemoteProtocolError, StreamEvent
from tests.support.expecting import check, types, types_of
from tests.support.measures import memory_stays_bounded
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import KEY, Session
from tests.support.steps import Script, close, drip, flood, send
from tests.support.wire import (
    CLOSING_STREAM_HEAD,
    DONE,
    FINAL,
    GOOD_EVENTS,
    GOOD_STREAM,
    START,
    STREAM_HEAD,
    TOKEN,
    chunk,
    event,
    events,
    stream,
    to_json,
)

LIMIT = 16 * 1024 * 1024


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
    for error, (_, _, message) in zip(check(binding, broken), wrong, strict=True):
        assert f"where {message}" in str(error)
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
@pytest.mark.parametrize("stride", [pytest.param(11, id="some"), pytest.param(1, id="all", marks=pytest.mark.thorough)])
def test_a_stream_cut_at_every_place(binding: type[Session], stride: int) -> None:
    body, expected = short_stream(), ["start", "error", "done"]
    places = range(1, len(body))
    cuts = [(0, place, len(body)) for place in places]
    cuts += [(0, *pair, len(body)) for pair in itertools.islice(itertools.combinations(places, 2), 0, None, stride)]
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
def test_one_byte_at_a_time_and_many_events_at_once(binding: type[Session]) -> None:
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
def test_lines_of_every_kind(binding: type[Session]) -> None:
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
