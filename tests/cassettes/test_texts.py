"""The text of a cassette, and which recorded request is the one that is made; nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestiaos import ConnectFailed, ConnectionLost, HestiaError, LocalProtocolError, RemoteProtocolError, TimedOut
from hestiaos.cassettes._format import End, Exchange, Piece, RecordedRequest, encode, parse
from hestiaos.cassettes._matching import excerpt, matches, nearest

FIRST = b'{"cassette":"hestiaos","version":1}\n'
REQUEST = b'{"request":{"method":"GET","path":"/"}}\n'
HEAD = b'{"response":{"status":200,"headers":{}}}\n'

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda each: st.lists(each), max_leaves=5)
SECONDS = st.integers(0, 10**8).map(lambda millionths: millionths / 1e6)
LATIN_1 = st.text(st.characters(max_codepoint=255))
FAULTS = st.builds(End, st.just("left"), SECONDS) | st.builds(
    End, st.sampled_from(["ConnectionLost", "TimedOut"]), SECONDS, st.text(), st.just({"request_sent": False})
)
ENDS = FAULTS | st.builds(End, st.just("complete"), SECONDS)
ANSWERED = st.builds(
    Exchange,
    st.builds(RecordedRequest, st.sampled_from(["GET", "POST"]), st.text(), JSON),
    st.integers(100, 599),
    st.dictionaries(LATIN_1, LATIN_1),
    SECONDS,
    st.lists(st.builds(Piece, SECONDS, st.binary() | st.text().map(str.encode))),
    ENDS,
)
UNANSWERED = st.builds(Exchange, st.builds(RecordedRequest, st.just("GET"), st.text()), end=FAULTS)


@given(st.lists(ANSWERED | UNANSWERED, max_size=4))
def test_what_is_written_is_read(exchanges: list[Exchange]) -> None:
    assert parse(encode(exchanges)) == exchanges


@given(st.lists(ANSWERED | UNANSWERED, min_size=1, max_size=2), st.integers(0))
def test_a_part_of_a_cassette_is_not_one(exchanges: list[Exchange], place: int) -> None:
    """Wherever the text was cut inside an exchange, it is refused."""
    lines = encode(exchanges).splitlines(keepends=True)
    whole = {0} | {number for number, line in enumerate(lines) if b'"end"' in line[:6]}
    number = place % len(lines)
    if number not in whole:
        with pytest.raises(ValueError, match="the end of the cassette is missing"):
            parse(b"".join(lines[: number + 1]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the end of the cassette is missing"),
        (b"{}", "line 1: the first line of a cassette is"),
        (b"<html>", "line 1: "),
        (FIRST.replace(b"1", b"2"), "line 1: the first line"),
        (FIRST + b"[]", "line 2 is not that of a cassette"),
        (FIRST + b'{"request":{"method":"GET"}}', "line 2 is not that of a cassette"),
        (FIRST + REQUEST + b'{"data":"x"}', "line 3: a response is missing"),
        (FIRST + REQUEST + HEAD + b'{"base64":"x"}', "line 4: "),
        (FIRST + REQUEST + HEAD + b'{"nothing":"x"}', "line 4 is not that of a cassette"),
        (FIRST + REQUEST + b'{"end":"StreamEnd"}', "line 3: an exchange does not end with 'StreamEnd'"),
        (FIRST + REQUEST, "the end of the cassette is missing"),
        (FIRST + REQUEST + b'{"end":"complete"}', "line 3: a response is missing"),
        (FIRST + REQUEST + b'{"end":"left","after":-1}', "line 3: after must be a number of seconds"),
        (FIRST + REQUEST + b'{"end":"TimedOut","message":1}', "line 3: an end has a message, a text"),
        (FIRST + REQUEST + b'{"end":"TimedOut","args":[]}', "line 3: an end has a message, a text"),
        (FIRST + REQUEST + HEAD.replace(b"200", b"20"), "line 3: a status is a number of three digits, not 20"),
        (FIRST + REQUEST + HEAD.replace(b"200", b'"x"'), "line 3: a status is a number of three digits, not 'x'"),
        (FIRST + REQUEST + HEAD.replace(b"{}", b'{"a":1}'), "line 3 is not that of a cassette"),
        (FIRST + REQUEST + HEAD.replace(b"{}", '{"a":"☃"}'.encode()), "line 3: 'latin-1' codec can't encode"),
    ],
)
def test_what_is_not_a_cassette(text: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_a_cassette_is_read_by_people() -> None:
    request = RecordedRequest("POST", "/api/v1/run", {"input": "Grüße"})
    lost = End.of(ConnectionLost("it was reset"), 1.0)
    text = encode(
        [Exchange(request, 200, {"a": "b"}, 0.25, [Piece(0.1234567, "ü".encode()), Piece(0.0, b"\xff")], lost)]
    )
    assert text.decode().splitlines()[1:] == [
        '{"request":{"method":"POST","path":"/api/v1/run","body":{"input":"Grüße"}}}',
        '{"response":{"status":200,"headers":{"a":"b"}},"after":0.25}',
        '{"data":"ü","after":0.123457}',
        '{"base64":"/w==","after":0.0}',
        '{"end":"ConnectionLost","message":"it was reset","request_sent":true,"stale":false,"after":1.0}',
    ]


@pytest.mark.parametrize("error", [ConnectFailed("a"), ConnectionLost("b"), TimedOut("c"), RemoteProtocolError("d")])
def test_a_fault_comes_back_as_it_was(error: HestiaError) -> None:
    if isinstance(error, ConnectionLost):
        error.stale = True
    [exchange] = parse(encode([Exchange(RecordedRequest("GET", "/"), end=End.of(error, 0.0))]))
    again = exchange.end.error()
    assert (type(again), again.args, vars(again)) == (type(error), error.args, vars(error))


def test_what_the_client_did_itself_is_not_a_fault() -> None:
    assert End.of(LocalProtocolError("the client was closed during the call"), 2.0) == End("left", 2.0)


def request(body: Any = None, method: str = "POST", path: str = "/api/v1/run") -> RecordedRequest:
    return RecordedRequest(method, path, body)


@pytest.mark.parametrize(
    ("recorded", "made", "fit"),
    [
        (request({"a": 1, "b": [1, "x"]}), request({"b": [1, "x"], "a": 1}), True),
        (request({"a": 1}), request({"a": 2}), False),
        (request({"a": 1}), request({"a": 1.0}), False),
        (request({"a": 1}), request({"a": True}), False),
        (request({"a": 1}), request({"a": 1, "b": 2}), False),
        (request([1, 2]), request([1]), False),
        (request({"a": 1}), request(), False),
        (request(), request(), True),
        (request(method="GET"), request(), False),
        (request(path="/a?limit=1"), request(path="/a?limit=2"), False),
        (request({"a": "key ***, ***"}), request({"a": "key sk-1, \nsk-2"}), True),
        (request({"a": "key ***."}), request({"a": "key sk-1"}), False),
        (request({"a": "ab***ba"}), request({"a": "aba"}), False),
        (request({"a": "ab***ba"}), request({"a": "abba"}), True),
        (request({"a": "***a***b"}), request({"a": "abab"}), True),
        (request({"a": "***b***b"}), request({"a": "ab"}), False),
        (request({"a": "***a" * 40 + "b"}), request({"a": "a" * 2000}), False),
        (request({"a": "(.*)"}), request({"a": "x"}), False),
        (request(path="/***"), request(path="/x"), True),
    ],
)
def test_which_request_is_the_recorded_one(recorded: RecordedRequest, made: RecordedRequest, fit: bool) -> None:
    assert matches(recorded, made) is fit


def test_the_nearest_is_the_one_with_the_longest_beginning_in_common() -> None:
    made = request({"input": "create the report"})
    others = [
        request({"input": "create"}),
        request({"input": "create th*"}),
        request({"input": "x"}),
        request(path="/x"),
    ]
    assert nearest(made, others) == others[1]
    assert nearest(made, []) is None


def test_a_long_request_is_shown_around_the_difference() -> None:
    one, other = request({"input": f"{'a' * 500}b{'c' * 500}"}), request({"input": f"{'a' * 500}d"})
    shown = excerpt(one, other)
    assert shown == f"POST /api/v1/run …{'a' * 30}b{'c' * 89}…"
    assert excerpt(one).startswith('POST /api/v1/run {"input":"aaa')
    assert excerpt(request({"a": 1}), one) == 'POST /api/v1/run {"a":1}'
    assert excerpt(request(method="GET"), one) == "GET /api/v1/run"
