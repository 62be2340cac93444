"""The table "The response": how it comes."""

from __future__ import annotations

import threading

import pytest

from hestiaos import (
    ConnectionLost,
    RemoteProtocolError,
    TimedOut,
)
from tests.support.bindings import REMOTE, HttpxAsyncio, HttpxSync, HttpxTrio
from tests.support.expecting import expect, within
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import Session
from tests.support.steps import Script, close, drip, flood, half_close, reset, send, silence
from tests.support.wire import LAST_CHUNK, RUN, chunk, chunked, ok, to_json

GOOD = ok(RUN)
HEAD = GOOD[: GOOD.index(b"\r\n\r\n") + 4]
CHUNKED = chunked([to_json(RUN)[:20], to_json(RUN)[20:]])
CHUNKED_HEAD = CHUNKED[: CHUNKED.index(b"\r\n\r\n") + 4]
LIMIT = 16 * 1024 * 1024
OWN_HTTP = tuple(binding for binding in REMOTE if binding not in (HttpxSync, HttpxAsyncio, HttpxTrio))


@fault("closed before any byte; inside the status line; inside the headers")
def test_closed_before_the_body(binding: type[Session]) -> None:
    expect(binding, [[send(HEAD[:cut]), close] for cut in range(len(HEAD))], ConnectionLost)
    expect(binding, [[send(HEAD[:cut]), half_close] for cut in (0, 5, 30)], ConnectionLost)


@fault("closed inside the body (Content-Length not reached, chunk cut)")
@pytest.mark.parametrize("stride", [pytest.param(4, id="some"), pytest.param(1, id="all", marks=pytest.mark.thorough)])
def test_closed_inside_the_body(binding: type[Session], stride: int) -> None:
    cuts = [GOOD[:cut] for cut in range(len(HEAD), len(GOOD), stride)]
    cuts += [CHUNKED[:cut] for cut in range(len(CHUNKED_HEAD), len(CHUNKED), stride)]
    expect(binding, [[send(cut), close] for cut in cuts], ConnectionLost)


@fault("reset (RST) at each of these places")
def test_a_connection_that_is_reset(binding: type[Session]) -> None:
    cuts = [GOOD[:cut] for cut in (0, 1, 5, 9, 13, 15, 16, 30, len(HEAD) - 2, len(HEAD), len(HEAD) + 5, len(GOOD) - 1)]
    cuts += [CHUNKED[: len(CHUNKED_HEAD) + cut] for cut in (0, 1, 2, 4, 10, 23, 25)]
    cuts += [CHUNKED[:-cut] for cut in (1, 2, 4, 5)]
    expect(binding, [[send(cut), reset] for cut in cuts], ConnectionLost)


@fault("garbage instead of HTTP; HTTP/0.9; header line without colon; headers over 64 KiB; conflicting Content-Length")
def test_garbage_instead_of_http(binding: type[Session]) -> None:
    bad = [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        bytes(range(128, 256)) + b"\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/9 200 OK\r\n\r\n",
        b"<html>\r\n\r\n</html>\r\n",  # HTTP/0.9: a body without a head
        HEAD.replace(b"Content-Type: ", b"Content-Type "),
        HEAD.replace(b"Content-Type", b"Content Type"),
        HEAD.replace(b"\r\n", b"\r\nContent-Length: 5\r\n", 1),
        HEAD.replace(b"\r\n", b"\r\nContent-Length: -1\r\n", 1),
        HEAD.replace(b"\r\n", b"\r\nContent-Length: 0x10\r\n", 1),
    ]
    expect(binding, [[send(each), close] for each in bad], RemoteProtocolError)


@fault("garbage instead of HTTP; HTTP/0.9; header line without colon; headers over 64 KiB; conflicting Content-Length")
def test_headers_over_the_limit(binding: type[Session]) -> None:
    def with_header(value: bytes, times: int = 1) -> bytes:
        return GOOD.replace(b"\r\n", b"\r\n" + (b"X-Filler: " + value + b"\r\n") * times, 1)

    bad: list[Script] = [
        [send(with_header(b"x" * 66_000))],
        [send(with_header(b"x" * 99, 700))],
        [send(with_header(b"", 6000))],
        [send(with_header(b"x" * 300_000))],
        [send(b"HTTP/1.1 200 OK\r\nX-Filler: "), flood(b"x" * 65536, most=1 << 24), close],
        [send(b"HTTP/1.1 200 OK\r\n"), flood(b"X-Filler: x\r\n" * 5000, most=1 << 24), close],
    ]
    expect(binding, bad, RemoteProtocolError)


@fault(
    "garbage instead of HTTP; HTTP/0.9; header line without colon; headers over 64 KiB; conflicting Content-Length",
    OWN_HTTP,  # httpx has one exception and one text for a close, whatever came before it that is not a whole head
)
def test_garbage_without_a_blank_line(binding: type[Session]) -> None:
    bad = [b"<html>hello</html>", b"SSH-2.0-OpenSSH_9.2\r\n", b"hello", b"\0"]
    expect(binding, [[send(each), close] for each in bad], RemoteProtocolError)


@fault("chunk size not hexadecimal; chunk without its CRLF")
def test_bad_chunks(binding: type[Session]) -> None:
    body = to_json(RUN)
    bad = [
        b"xyz\r\n" + body,
        b"-5\r\n" + body,
        b"\r\n" + body,
        b"5" * 40 + b"\r\n" + body,
        chunk(body)[:-2] + b"XX" + LAST_CHUNK,
        chunk(body)[:-2] + LAST_CHUNK,
    ]
    expect(binding, [[send(CHUNKED_HEAD + each), close] for each in bad], RemoteProtocolError)


@fault("silence after the request; silence inside the body; one byte a second")
def test_a_server_that_does_not_respond(binding: type[Session]) -> None:
    scripts: list[Script] = [[send(GOOD[:cut]), silence] for cut in (0, 5, 30, len(HEAD), len(HEAD) + 5)]
    scripts += [[send(CHUNKED[: len(CHUNKED_HEAD) + 10]), silence]]
    within(0.2, lambda s: expect(binding, scripts, TimedOut, timeout=s))
    within(0.2, lambda s: expect(binding, [[silence], [send(HEAD), silence]], TimedOut, f"{s:g} s", deadline=s))


@fault("silence after the request; silence inside the body; one byte a second")
def test_a_response_byte_by_byte(binding: type[Session]) -> None:
    body = to_json(RUN)
    assert len(body) > 10

    def deadline(seconds: float) -> None:
        slow = [[send(HEAD), drip(body, seconds / 6)], [send(CHUNKED_HEAD), drip(chunk(b" ") * 20, seconds / 6)]]
        expect(binding, slow, TimedOut, f"{seconds:g} s", deadline=seconds)

    def timeout(seconds: float) -> None:
        with Peer([drip(GOOD, 0.002)]) as peer, binding(peer.url, timeout=seconds) as session:
            assert session.call("run", "x").result == "r"

    within(0.3, deadline)
    within(1.0, timeout)


@fault("silence after the request; silence inside the body; one byte a second")
def test_a_head_byte_by_byte(binding: type[Session]) -> None:
    long = GOOD.replace(b"\r\n", b"\r\nX-Filler: " + b"x" * 100 + b"\r\n", 1)
    sent = threading.Event()
    with Peer([drip(long, 0.02), lambda _: sent.set()]) as peer, binding(peer.url, deadline=0.2) as session:
        with pytest.raises(TimedOut, match=r"0\.2 s"):
            session.call("run", "x")
        assert not sent.is_set()


@fault("`100 Continue` and `103 Early Hints` before the response")
def test_informational_responses(binding: type[Session]) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
    answers = [*early, early[0] + early[1], early[1] * 5]
    with Peer(*([send(each + GOOD)] for each in answers), [drip(early[1] + GOOD)]) as peer:
        with binding(peer.url) as session:
            for _ in range(len(answers) + 1):
                assert session.call("run", "x").result == "r"
        assert peer.connections == 1
