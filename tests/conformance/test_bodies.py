"""The table "The response": what its body is."""

from __future__ import annotations

import gzip
import zlib
from functools import cache

from hestiaos import (
    RemoteProtocolError,
)
from tests.support.expecting import expect
from tests.support.measures import memory_stays_bounded
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import SECRET, Session
from tests.support.steps import flood, send
from tests.support.wire import RUN, chunk, chunked, ok, response, to_json

LIMIT = 16 * 1024 * 1024
CHUNKED = chunked([to_json(RUN)[:20], to_json(RUN)[20:]])
CHUNKED_HEAD = CHUNKED[: CHUNKED.index(b"\r\n\r\n") + 4]

NO_OBJECT = [b"[]", b'"x"', b"1", b"null", b"true"]
NOT_JSON = [b"x", b"{", b"{'a': 1}", b"<html></html>", to_json(RUN) + b"x", b"\xef\xbb\xbf" + to_json(RUN), b" "]
NO_NUMBER = [b'{"a": NaN}', b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1e999}']


@fault(
    "204 where a body is needed; empty body; body not JSON; JSON but not an object; NaN; depth 100,000;"
    " a field of the wrong type; a needed field missing"
)
def test_bad_bodies(binding: type[Session]) -> None:
    deep = [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000]
    nested = to_json(RUN)[:-1] + b',"x":' + deep[0] + b"}"
    for message, bodies in (
        ("no body", [b""]),
        ("not JSON", NOT_JSON + NO_NUMBER),
        ("object", NO_OBJECT),
        ("deeper than", [*deep, nested]),
    ):
        for operation, args in ("run", ["x"]), ("explain", ["WRITE"]), ("get_secret", ["key"]):
            scripts = [[send(response(200, body))] for body in bodies]
            expect(binding, scripts, RemoteProtocolError, message, operation=operation, args=args)
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
    scripts = [[send(ok({"status": "ok", "version": "1", "uptime_seconds": "1"}))]]
    expect(binding, scripts, RemoteProtocolError, "'uptime_seconds'", operation="health", args=[])
    scripts = [[send(ok(each))] for each in ({"status": "ok"}, {"status": "ok", "version": 1})]
    expect(binding, scripts, RemoteProtocolError, "'version'", operation="health", args=[])


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
    message = f"larger than {LIMIT} bytes"
    endless = response(200, b"", length=1 << 40)
    with memory_stays_bounded(6 * LIMIT):
        expect(binding, [[send(endless), flood(b" " * 65536, most=1 << 28)]], RemoteProtocolError, message)
        expect(binding, [[send(CHUNKED_HEAD), flood(chunk(b" " * 65536), most=1 << 28)]], RemoteProtocolError, message)
    largest = to_json(RUN).ljust(LIMIT)
    with Peer([send(response(200, largest))]) as peer, binding(peer.url) as session:
        assert session.call("run", "x").result == "r"


@fault("gzip or deflate body, chunked; gzip bomb")
def test_compressed_bodies(binding: type[Session]) -> None:
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
def test_a_decompression_bomb(binding: type[Session]) -> None:
    with memory_stays_bounded(6 * LIMIT):
        answer = response(200, bomb(), "Content-Encoding: gzip")
        expect(binding, [[send(answer)]], RemoteProtocolError, f"larger than {LIMIT} bytes")
    damaged = gzip.compress(to_json(RUN))
    bad = [damaged[:-4], damaged[:10] + b"\xff" * 20, b"no gzip at all"]
    answers = [response(200, each, "Content-Encoding: gzip") for each in bad]
    answers.append(response(200, b"x", "Content-Encoding: br"))
    expect(binding, [[send(answer)] for answer in answers], RemoteProtocolError)
