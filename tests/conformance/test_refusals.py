"""Refusals whose body cannot be read keep their status, and are repeated as the status says."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from itertools import product

import pytest

from hestiaos import GovernanceBlock, InvalidInput, NotFound, RateLimited, ServerError, StatusError
from tests.support.measures import memory_stays_bounded
from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import Session
from tests.support.steps import Script, close, flood, reset, send
from tests.support.wire import chunk, response, to_json

ROW = "a refusal (4xx, 5xx) whose body cannot be read: unknown or damaged coding, cut, too large"
LIMIT = 16 * 1024 * 1024

BODY = to_json({"message": "told", "trace_id": "t-1", "more": "x" * 4000})
ZIPPED = gzip.compress(BODY)
KINDS: dict[int, type[StatusError]] = {
    400: StatusError,
    403: GovernanceBlock,
    404: NotFound,
    422: InvalidInput,
    429: RateLimited,
    500: ServerError,
    502: ServerError,
    503: ServerError,
}
REPEATED = (429, 503)


def head(status: int, *headers: str) -> bytes:
    """The head of a chunked body that may be repeated at once."""
    return response(status, b"", "Retry-After: 0", "Transfer-Encoding: chunked", *headers).replace(
        b"Content-Length: 0\r\n", b""
    )


def coded(coding: str, data: bytes = BODY) -> Callable[[int], Script]:
    return lambda status: [send(response(status, data, "Retry-After: 0", f"Content-Encoding: {coding}"))]


def cut(end: Script, *headers: str, data: bytes = BODY) -> Callable[[int], Script]:
    whole = len(data) + 1000
    return lambda status: [send(response(status, data, "Retry-After: 0", *headers, length=whole)), *end]


def chunked(*after: bytes, coding: str = "identity", data: bytes = BODY) -> Callable[[int], Script]:
    rest = b"".join(after)
    return lambda status: [send(head(status, f"Content-Encoding: {coding}") + chunk(data) + rest), close]


DAMAGED: dict[str, Callable[[int], Script]] = {
    "br": coded("br"),
    "zstd": coded("zstd"),
    "an unknown coding": coded("x-unknown"),
    "two codings": coded("gzip, br", ZIPPED),
    "not gzip at all": coded("gzip"),
    "gzip with a wrong checksum": coded("gzip", ZIPPED[:-6] + b"xxxxxx"),
    "gzip that ends early": coded("gzip", ZIPPED[:-20]),
    "gzip damaged in the middle": coded("gzip", ZIPPED[:30] + b"\xff" * 20 + ZIPPED[50:]),
    "not deflate at all": coded("deflate", b"\xff" * 50),
    "cut by a close": cut([close]),
    "cut by a reset": cut([reset]),
    "cut gzip": cut([close], "Content-Encoding: gzip", data=ZIPPED[:-10]),
    "cut before its first byte": cut([close], data=b""),
    "a cut chunk": chunked(b"ffff\r\nmore"),
    "no last chunk": chunked(),
    "a bad chunk size": chunked(b"xyz\r\n"),
    "a cut gzip chunk": chunked(b"ffff\r\nmore", coding="gzip", data=ZIPPED[:-10]),
}


@fault(ROW)
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_call_and_a_stream(binding: type[Session], damage: str, every: int) -> None:
    """Every status for a call and for a stream; of these by default each fourth, others for the next damage."""
    script, first = DAMAGED[damage], list(DAMAGED).index(damage)
    with Peer() as peer, binding(peer.url) as session:
        asked = [*product(KINDS.items(), (call, read))][first % every :: every]
        for count, ((status, kind), ask) in enumerate(asked, start=1):
            peer.add(script(status))
            with pytest.raises(StatusError) as refused:
                ask(session)
            error = refused.value
            assert type(error) is kind
            assert error.status_code == status
            assert error.retry_after == 0
            assert BODY.startswith(error.body) or ZIPPED.startswith(error.body)  # the latter as it came, undecoded
            assert len(peer.requests) == count
        assert session.call("run", "x").result == "r"


@fault(ROW)
@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_refusal_before_a_repeat(binding: type[Session], damage: str, every: int) -> None:
    script, first = DAMAGED[damage], list(DAMAGED).index(damage)
    with Peer() as peer, binding(peer.url, retries=3) as session:
        for status, ask in [*product(REPEATED, (call, read))][first % every :: every]:
            peer.requests.clear()
            peer.add(script(status), script(status))
            ask(session)
            assert len(peer.requests) == 3
            assert len({request.headers["idempotency-key"] for request in peer.requests}) == 1


def call(session: Session) -> None:
    assert session.call("run", "x").result == "r"


def read(session: Session) -> None:
    events, error = session.stream("x").read()
    if error is not None:
        raise error
    assert events[-1].type == "done"


@fault(ROW)
def test_a_refusal_that_could_be_read_in_part(binding: type[Session]) -> None:
    """A documented body that arrived whole before the fault tells its message, a part of one its first KiB."""
    body = to_json({"message": "told", "trace_id": "t-1"})
    whole: list[Script] = [
        cut([close], data=body)(503),
        cut([reset], data=body)(503),
        chunked(b"ffff\r\n", data=body)(503),
        chunked(data=body)(503),
    ]
    for script in whole:
        with Peer(script) as peer, binding(peer.url) as session:
            with pytest.raises(ServerError) as refused:
                session.call("run", "x")
            assert refused.value.body == body
            assert (refused.value.message, refused.value.trace_id) == ("told", "t-1")
    for script in cut([close])(503), chunked(b"ffff\r\nmore")(503), coded("gzip", ZIPPED[:-6] + b"xxxxxx")(503):
        with Peer(script) as peer, binding(peer.url) as session:
            with pytest.raises(ServerError) as refused:
                session.call("run", "x")
            assert refused.value.body == BODY[:1024]


@fault(ROW)
def test_a_refusal_that_is_too_large(binding: type[Session]) -> None:
    compressed = gzip.compress(b"x" * (17 * 1024 * 1024))
    scripts: list[Callable[[int], Script]] = [
        lambda status: [
            send(response(status, b"", "Retry-After: 0", length=1 << 40)),
            flood(b"x" * 65536, most=1 << 28),
        ],
        lambda status: [send(head(status)), flood(chunk(b"x" * 65536), most=1 << 28)],
        lambda status: [send(response(status, compressed, "Retry-After: 0", "Content-Encoding: gzip"))],
    ]
    for script in scripts:
        with memory_stays_bounded(6 * LIMIT), Peer(script(404)) as peer, binding(peer.url) as session:
            with pytest.raises(NotFound) as refused:
                session.call("run", "x")
            assert refused.value.body == b"x" * 1024
            assert session.call("run", "x").result == "r"
        with memory_stays_bounded(6 * LIMIT), Peer(script(503)) as peer, binding(peer.url, retries=1) as session:
            assert session.call("run", "x").result == "r"
            assert len(peer.requests) == 2
