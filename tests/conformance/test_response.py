"""The table "The response"."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from functools import cache
from typing import Any

import pytest

from hestiaos import (
    ConnectionLost,
    HestiaError,
    RateLimited,
    RemoteProtocolError,
    ServerError,
    StatusError,
    TimedOut,
    TransportError,
)
from tests.support.bindings import REMOTE, HttpxAsyncio, HttpxSync, HttpxTrio
from tests.support.measures import memory_stays_bounded
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import KEY, SECRET, Session
from tests.support.statuses import refusals
from tests.support.steps import Request, Script, Step, close, drip, flood, half_close, reset, send, silence
from tests.support.wire import LAST_CHUNK, RUN, chunk, chunked, ok, response, to_json

GOOD = ok(RUN)
HEAD = GOOD[: GOOD.index(b"\r\n\r\n") + 4]
CHUNKED = chunked([to_json(RUN)[:20], to_json(RUN)[20:]])
CHUNKED_HEAD = CHUNKED[: CHUNKED.index(b"\r\n\r\n") + 4]
LIMIT = 16 * 1024 * 1024
OWN_HTTP = tuple(binding for binding in REMOTE if binding not in (HttpxSync, HttpxAsyncio, HttpxTrio))


def expect(
    binding: type[Session],
    scripts: Sequence[Script],
    kind: type[HestiaError],
    told: str | None = None,
    *,
    operation: str = "run",
    args: Sequence[str] = ("x",),
    **options: Any,
) -> None:
    """Each of these answers is that exception, and the same client is served afterwards."""
    with Peer(*scripts) as peer, binding(peer.url, **options) as session:
        for count in range(1, len(scripts) + 1):
            with pytest.raises(HestiaError) as raised:
                session.call(operation, *args)
            error = raised.value
            assert type(error) is kind, f"answer {count}: {error!r}"
            if told is not None:
                assert told in str(error), f"answer {count}"
            if isinstance(error, TransportError):
                assert error.request_sent
                assert not isinstance(error.__cause__, HestiaError)
                assert error.__cause__ is not None or kind is TimedOut
            assert len(peer.requests) == count
        assert session.call("run", "x").result == "r"
        assert len(peer.requests) == len(scripts) + 1


@fault("closed before any byte; inside the status line; inside the headers")
def test_closed_before_the_body(binding: type[Session]) -> None:
    expect(binding, [[send(HEAD[:cut]), close] for cut in range(len(HEAD))], ConnectionLost)
    expect(binding, [[send(HEAD[:cut]), half_close] for cut in (0, 5, 30)], ConnectionLost)


@fault("closed inside the body (Content-Length not reached, chunk cut)")
def test_closed_inside_the_body(binding: type[Session]) -> None:
    cuts = [GOOD[:cut] for cut in range(len(HEAD), len(GOOD))]
    cuts += [CHUNKED[:cut] for cut in range(len(CHUNKED_HEAD), len(CHUNKED))]
    expect(binding, [[send(cut), close] for cut in cuts], ConnectionLost)


@fault("reset (RST) at each of these places")
def test_reset(binding: type[Session]) -> None:
    cuts = [GOOD[:cut] for cut in (0, 1, 5, 9, 13, 15, 16, 30, len(HEAD) - 2, len(HEAD), len(HEAD) + 5, len(GOOD) - 1)]
    cuts += [CHUNKED[: len(CHUNKED_HEAD) + cut] for cut in (0, 1, 2, 4, 10, 23, 25)]
    cuts += [CHUNKED[:-cut] for cut in (1, 2, 4, 5)]
    expect(binding, [[send(cut), reset] for cut in cuts], ConnectionLost)


@fault("garbage instead of HTTP; HTTP/0.9; header line without colon; headers over 64 KiB; conflicting Content-Length")
def test_garbage(binding: type[Session]) -> None:
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
        [send(with_header(b"x" * 300_000))],
        [send(b"HTTP/1.1 200 OK\r\nX-Filler: "), flood(b"x" * 65536, most=1 << 24), close],
        [send(b"HTTP/1.1 200 OK\r\n"), flood(b"X-Filler: x\r\n" * 5000, most=1 << 24), close],
    ]
    expect(binding, bad, RemoteProtocolError)


@fault(
    "garbage instead of HTTP; HTTP/0.9; header line without colon; headers over 64 KiB; conflicting Content-Length",
    OWN_HTTP,  # httpx has one exception and one text for a close, whatever came before it that is no whole head
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
def test_silence(binding: type[Session]) -> None:
    scripts: list[Script] = [[send(GOOD[:cut]), silence] for cut in (0, 5, 30, len(HEAD), len(HEAD) + 5)]
    scripts += [[send(CHUNKED[: len(CHUNKED_HEAD) + 10]), silence]]
    expect(binding, scripts, TimedOut, timeout=0.2)
    expect(binding, [[silence], [send(HEAD), silence]], TimedOut, "0.2 s", deadline=0.2)


@fault("silence after the request; silence inside the body; one byte a second")
def test_one_byte_after_another(binding: type[Session]) -> None:
    slow: list[Script] = [[send(HEAD), drip(to_json(RUN), 0.05)], [send(CHUNKED_HEAD), drip(chunk(b" ") * 20, 0.05)]]
    expect(binding, slow, TimedOut, "0.3 s", deadline=0.3)
    with Peer([drip(GOOD, 0.002)]) as peer, binding(peer.url, timeout=1.0) as session:
        assert session.call("run", "x").result == "r"


@fault("silence after the request; silence inside the body; one byte a second")
def test_one_byte_after_another_of_the_head(binding: type[Session]) -> None:
    long = GOOD.replace(b"\r\n", b"\r\nX-Filler: " + b"x" * 100 + b"\r\n", 1)
    with Peer([drip(long, 0.02)]) as peer, binding(peer.url, deadline=0.2) as session:
        begun = time.monotonic()
        with pytest.raises(TimedOut, match=r"0\.2 s"):
            session.call("run", "x")
        assert time.monotonic() - begun < 10 * 0.2


@fault("`100 Continue` and `103 Early Hints` before the response")
def test_informational(binding: type[Session]) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"
    answers = [*early, early[0] + early[1], early[1] * 5]
    with Peer(*([send(each + GOOD)] for each in answers), [drip(early[1] + GOOD)]) as peer:
        with binding(peer.url) as session:
            for _ in range(len(answers) + 1):
                assert session.call("run", "x").result == "r"
        assert peer.connections == 1


NO_OBJECT = [b"[]", b'"x"', b"1", b"null", b"true"]
NO_JSON = [b"x", b"{", b"{'a': 1}", b"<html></html>", to_json(RUN) + b"x", b"\xef\xbb\xbf" + to_json(RUN), b" "]
NO_NUMBER = [b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1e999}']


@fault(
    "204 where a body is needed; empty body; body not JSON; JSON but not an object; NaN; depth 100,000;"
    " a field of the wrong type; a needed field missing"
)
def test_bad_bodies(binding: type[Session]) -> None:
    deep = [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000]
    nested = to_json(RUN)[:-1] + b',"x":' + deep[0] + b"}"
    for told, bodies in (
        ("no body", [b""]),
        ("not JSON", NO_JSON + NO_NUMBER),
        ("object", NO_OBJECT),
        ("deeper than", [*deep, nested]),
    ):
        for operation, args in ("run", ["x"]), ("explain", ["WRITE"]), ("get_secret", ["key"]):
            scripts = [[send(response(200, body))] for body in bodies]
            expect(binding, scripts, RemoteProtocolError, told, operation=operation, args=args)
    for status in 204, 200:
        expect(binding, [[send(response(status))]], RemoteProtocolError, "no body")


@fault(
    "204 where a body is needed; empty body; body not JSON; JSON but not an object; NaN; depth 100,000;"
    " a field of the wrong type; a needed field missing"
)
def test_bad_fields(binding: type[Session]) -> None:
    for name in "result", "trace_id", "mode", "budget", "latency_ms":
        missing = {key: value for key, value in RUN.items() if key != name}
        wrong = [RUN | {name: value} for value in ([SECRET], {}, None, True)]
        scripts = [[send(ok(each))] for each in (missing, *wrong)]
        expect(binding, scripts, RemoteProtocolError, repr(name))
    expect(binding, [[send(ok(RUN | {"output": 1}))]], RemoteProtocolError, "'output'")
    secret = [{}, {"value": None}, {"value": [SECRET]}]
    scripts = [[send(ok(each))] for each in secret]
    expect(binding, scripts, RemoteProtocolError, "'value'", operation="get_secret", args=["key"])
    health = [{"status": "ok", "version": "1"}, {"status": "ok", "version": "1", "uptime_seconds": "1"}]
    scripts = [[send(ok(each))] for each in health]
    expect(binding, scripts, RemoteProtocolError, "'uptime_seconds'", operation="health", args=[])


@fault("invalid UTF-8 in the JSON")
def test_invalid_utf8(binding: type[Session]) -> None:
    bad = b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\x80"
    bodies = [to_json(RUN).replace(b'"t"', b'"' + each + b'"') for each in bad]
    expect(binding, [[send(response(200, body))] for body in bodies], RemoteProtocolError, "not UTF-8")


@fault("unknown fields; the other spelling of a field (`wire.md`)")
def test_unknown_fields(binding: type[Session]) -> None:
    new = {"new": {"a": [None]}, "": 1}
    with Peer() as peer, binding(peer.url) as session:
        for answer in RUN | new, {"response": "r", "session_id": "s"} | new, {"result": "r", "session_id": "s"}:
            peer.add([send(ok(answer))])
            result = session.call("run" if "mode" in answer else "chat", "x")
            assert result.result == "r"
            assert result.extra == (new if "new" in answer else {})
        for spelling in "output", "result":
            peer.add([send(ok({spelling: "r", "agent_id": "a", "status": "COMPLETED"}))])
            result = session.call("run_agent", "a", "task")
            assert (result.result, result.output, result.extra) == ("r", "r", {})
        metrics = dict.fromkeys(
            ("cpu_percent", "memory_percent", "active_sessions", "requests_total", "avg_latency_ms"), 1
        )
        for body in metrics, {"metrics": metrics}:
            peer.add([send(ok(body))])
            assert session.call("system_metrics").cpu_percent == 1


@fault("body over the limit (default 16 MiB)")
def test_body_over_the_limit(binding: type[Session]) -> None:
    told = f"larger than {LIMIT} bytes"
    endless = response(200, b"", length=1 << 40)
    with memory_stays_bounded(6 * LIMIT):
        expect(binding, [[send(endless), flood(b" " * 65536, most=1 << 28)]], RemoteProtocolError, told)
        expect(binding, [[send(CHUNKED_HEAD), flood(chunk(b" " * 65536), most=1 << 28)]], RemoteProtocolError, told)
    largest = to_json(RUN).ljust(LIMIT)
    with Peer([send(response(200, largest))]) as peer, binding(peer.url) as session:
        assert session.call("run", "x").result == "r"


@fault("gzip or deflate body, chunked; gzip bomb")
def test_compressed(binding: type[Session]) -> None:
    body = to_json(RUN)
    raw = zlib.compressobj(wbits=-15)
    bare = raw.compress(body) + raw.flush()
    with Peer() as peer, binding(peer.url) as session:
        for coding, data in ("gzip", gzip.compress(body)), ("deflate", zlib.compress(body)), ("deflate", bare):
            header = f"Content-Encoding: {coding}"
            for answer in (
                response(200, data, header),
                chunked([data], header),
                chunked([data[:5], data[5:]], header),
                chunked([bytes([byte]) for byte in data], header),
            ):
                peer.add([send(answer)])
                assert session.call("run", "x").result == "r"
        assert "gzip" in peer.requests[0].headers["accept-encoding"]
        assert peer.connections == 1


@cache
def bomb() -> bytes:
    """256 MiB of nothing."""
    coder = zlib.compressobj(level=1, wbits=31)
    return b"".join([*(coder.compress(bytes(1 << 20)) for _ in range(256)), coder.flush()])


@fault("gzip or deflate body, chunked; gzip bomb")
def test_bomb(binding: type[Session]) -> None:
    with memory_stays_bounded(6 * LIMIT):
        answer = response(200, bomb(), "Content-Encoding: gzip")
        expect(binding, [[send(answer)]], RemoteProtocolError, f"larger than {LIMIT} bytes")
    damaged = gzip.compress(to_json(RUN))
    bad = [damaged[:-4], damaged[:10] + b"\xff" * 20, b"no gzip at all"]
    answers = [response(200, each, "Content-Encoding: gzip") for each in bad]
    answers.append(response(200, b"x", "Content-Encoding: br"))
    expect(binding, [[send(answer)] for answer in answers], RemoteProtocolError)


@fault("301, 302, 303, 307, 308 to another origin")
def test_redirects(binding: type[Session]) -> None:
    with Peer() as other, Peer() as peer, binding(peer.url) as session:
        for status in 301, 302, 303, 307, 308:
            for operation, args in ("run", ["x"]), ("get_secret", ["key"]), ("run_stream", ["x"]):
                peer.add([send(response(status, b"", f"Location: {other.url}/api/v1/run"))])
                with pytest.raises(StatusError, match="redirect") as refused:
                    session.stream("x").next() if operation == "run_stream" else session.call(operation, *args)
                assert type(refused.value) is StatusError
                assert refused.value.status_code == status
                assert refused.value.code == f"HTTP_{status}"
        assert session.call("run", "x").result == "r"
        assert len(peer.requests) == 16
        assert other.connections == 0


@fault(
    "400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 502, 503, 504: with the documented body, a FastAPI body,"
    " an HTML body, an empty body"
)
def test_statuses(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        for refusal in refusals():
            peer.add([send(refusal.raw)])
            with pytest.raises(HestiaError) as raised:
                session.call("run", "x")
            refusal.check(raised.value)
        assert session.call("run", "x").result == "r"
        assert len(peer.requests) == len(list(refusals())) + 1
        assert peer.connections == 1


@fault(
    "400, 401, 403, 404, 409, 413, 418, 422, 429, 500, 502, 503, 504: with the documented body, a FastAPI body,"
    " an HTML body, an empty body"
)
def test_secrets_that_a_refusal_repeats(binding: type[Session]) -> None:
    bodies = [
        {"message": SECRET},
        {"detail": [{"loc": [SECRET], "msg": KEY, "type": SECRET}]},
        {"details": {SECRET: KEY}},
    ]
    with Peer() as peer, binding(peer.url) as session:
        for body in bodies:
            for status in 400, 422, 500:
                peer.add([send(response(status, to_json(body)))])
                with pytest.raises(StatusError) as refused:  # the session itself looks at all that can be seen of it
                    session.call("set_secret", "name", SECRET)
                assert b"***" in refused.value.body


@fault("429 and 503 with `Retry-After: 1`, an HTTP date, a date in the past, garbage, `-5`, `1e9` (`retries=1`)")
def test_retry_after(binding: type[Session]) -> None:
    cases: list[tuple[Callable[[type[Session], int], None], int]] = [
        (case, status)
        for case in (waits_one_second, waits_for_the_date, does_not_wait_for_the_past, counts_as_absent, is_too_long)
        for status in (429, 503)
    ]
    with ThreadPoolExecutor(len(cases)) as threads:  # they wait at the same time
        for future in [threads.submit(case, binding, status) for case, status in cases]:
            future.result()


def served_after(binding: type[Session], status: int, *values: str) -> list[tuple[Request, Request]]:
    """The two requests of a call whose first answer asks for such a wait, for each of the values."""
    scripts = [[send(response(status, b"", f"Retry-After: {value}"))] for value in values]
    found = []
    for script in scripts:
        with Peer(script) as peer, binding(peer.url, retries=1) as session:
            assert session.call("run", "x").result == "r"
            first, second = peer.requests
            assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
            assert first.body == second.body
            found.append((first, second))
    return found


def waits_one_second(binding: type[Session], status: int) -> None:
    for first, second in served_after(binding, status, "1"):
        assert second.arrived - first.arrived >= 0.99  # the wait begins with the answer, a moment after the request


def waits_for_the_date(binding: type[Session], status: int) -> None:
    date = int(time.time()) + 2
    for _, second in served_after(binding, status, formatdate(date, usegmt=True)):
        assert second.arrived >= date - 0.01


def does_not_wait_for_the_past(binding: type[Session], status: int) -> None:
    for first, second in served_after(binding, status, "Sun, 06 Nov 1994 08:49:37 GMT", "0"):
        assert second.arrived - first.arrived < 5


def counts_as_absent(binding: type[Session], status: int) -> None:
    for first, second in served_after(binding, status, "soon", "-5", ""):
        assert second.arrived - first.arrived < 10 * 0.5


def is_too_long(binding: type[Session], status: int) -> None:
    far = time.time() + 3600
    scripts = [
        [send(response(status, b"", "Retry-After: 1e9"))],
        [send(response(status, b"", "Retry-After: 61"))],
        [send(response(status, b"", f"Retry-After: {formatdate(far, usegmt=True)}"))],
    ]
    with Peer(*scripts) as peer, binding(peer.url, retries=1) as session:
        for wait in 1e9, 61, 3600:
            with pytest.raises(RateLimited if status == 429 else ServerError) as refused:
                session.call("run", "x")
            assert refused.value.retry_after == pytest.approx(wait, abs=30)
        assert len(peer.requests) == 3


@fault("500 on `run` (`retries=3`)")
def test_500_is_not_repeated(binding: type[Session]) -> None:
    with Peer(*[[send(response(500))]] * 3) as peer, binding(peer.url, retries=3) as session:
        for count, operation in enumerate(["run", "chat"], start=1):
            with pytest.raises(ServerError):
                session.call(operation, "x")
            assert len(peer.requests) == count
        with pytest.raises(ServerError):
            session.stream("x").next()
        assert len(peer.requests) == 3


@fault("503 twice on `run` (`retries=3`)")
def test_503_is_repeated(binding: type[Session]) -> None:
    busy: list[Step] = [send(response(503, b"", "Retry-After: 0"))]
    for operation in "run", "run_stream":
        with Peer(busy, busy) as peer, binding(peer.url, retries=3) as session:
            if operation == "run":
                assert session.call("run", "x").result == "r"
            else:
                assert len(session.stream("x").read()[0]) == 4
            assert len(peer.requests) == 3
            keys = {request.headers["idempotency-key"] for request in peer.requests}
            assert len(keys) == 1
            assert session.call("run", "x").result == "r"
            assert peer.requests[-1].headers["idempotency-key"] not in keys
