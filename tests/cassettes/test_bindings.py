"""What was recorded over one binding is replayed over any other, the same events at the same boundaries."""

from __future__ import annotations

import json
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hestiaos import Cassette, HestiaError, LocalProtocolError, StreamEvent, StreamInterrupted
from tests.support.bindings import BINDINGS, REMOTE, HttpxSync, params
from tests.support.cassettes import Watched, recorded_pieces
from tests.support.peer import Peer
from tests.support.sessions import KEY, Session
from tests.support.steps import Connection, Script, Step, close, reset, send
from tests.support.wire import LAST_CHUNK, STREAM_HEAD, chunk, event, events, ok, response

EVERY = pytest.mark.parametrize("binding", params(BINDINGS))
LATER = "secret-later-4711"
NOWHERE = "http://127.0.0.1:1"  # nobody listens there: what a replay would send were refused

VALUES = [
    {"type": "start", "data": {}},
    *({"type": "token", "data": {"text": text}} for text in ("Grüße ", "an ", "Hestia")),
    {"type": "final", "data": {"result": "Grüße an Hestia"}},
    {"type": "done", "data": {}},
]
WHOLE = b"".join(b"data: %b\n\n" % json.dumps(value, ensure_ascii=False).encode() for value in VALUES)
UMLAUT = WHOLE.index("ü".encode())
CUTS = [0, 10, UMLAUT + 1, UMLAUT + 60, len(WHOLE) - 5, len(WHOLE)]  # inside lines, events, and a letter
PIECES = [WHOLE[start:stop] for start, stop in pairwise(CUTS)]


class InTurn:
    """Sends pieces one by one, each when the one before has been read, so that they arrive as they are."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces
        self.read = threading.Semaphore(0)

    def script(self) -> Script:
        steps: list[Step] = [send(STREAM_HEAD)]
        for piece in self._pieces:
            steps += [self._wait, send(chunk(piece))]
        return [*steps, self._wait, send(LAST_CHUNK)]

    def _wait(self, connection: Connection) -> None:
        assert self.read.acquire(timeout=50)

    def watched(self, cassette: Cassette) -> Watched:
        return Watched(cassette, lambda data: self.read.release())


def read(session: Session) -> tuple[list[StreamEvent], HestiaError | None]:
    return session.stream("hello").read()


@pytest.mark.parametrize("binding", params(REMOTE))
def test_a_recording_has_the_pieces_as_they_arrived(binding: type[Session], tmp_path: Path) -> None:
    turn = InTurn(*PIECES)
    with (
        Peer(turn.script()) as peer,
        Cassette(tmp_path / "c.jsonl", record=True) as cassette,
        binding(peer.url, cassette=turn.watched(cassette)) as session,
    ):
        assert read(session)[1] is None
    assert recorded_pieces(tmp_path / "c.jsonl") == PIECES


@EVERY
@pytest.mark.parametrize("pace", [0.0, 1.0])
def test_the_same_events_at_the_same_boundaries(binding: type[Session], pace: float, tmp_path: Path) -> None:
    path, turn = tmp_path / "c.jsonl", InTurn(*PIECES)
    with (
        Peer(turn.script()) as peer,
        Cassette(path, record=True) as cassette,
        HttpxSync(peer.url, cassette=turn.watched(cassette)) as session,
    ):
        expected, error = read(session)
    assert error is None
    pieces: list[bytes | None] = []
    with binding(NOWHERE, cassette=Watched(Cassette(path, pace=pace), pieces.append)) as session:
        assert read(session) == (expected, None)
    assert list(filter(None, pieces)) == PIECES


@EVERY
def test_every_cut_is_replayed(binding: type[Session], tmp_path: Path) -> None:
    """However the connection ended, what a replay gives and raises is what the recording gave and raised."""
    scripts: list[Script] = [
        [send(STREAM_HEAD + chunk(events(*VALUES[:2]))), close],
        [send(STREAM_HEAD + chunk(events(*VALUES[:2]) + b"data: {")), reset],
        [send(STREAM_HEAD + chunk(events(*VALUES[:2])) + LAST_CHUNK)],
        [send(STREAM_HEAD + chunk(events(*VALUES[:2])) + b"zz\r\n"), close],
        [close],
        [send(b"garbage\r\n\r\n"), close],
        [send(response(503, b"<html>busy</html>", content_type="text/html"))],
        [send(response(200, b'{"result"', length=100)), close],
    ]
    path = tmp_path / "c.jsonl"
    with (
        Peer(*scripts) as peer,
        Cassette(path, record=True) as cassette,
        HttpxSync(peer.url, cassette=cassette) as session,
    ):
        expected = [read(session) for _ in scripts]
    assert isinstance(expected[0][1], StreamInterrupted)
    with binding(NOWHERE, cassette=Cassette(path)) as session:
        replayed = [read(session) for _ in scripts]
    for (events_before, before), (events_after, after) in zip(expected, replayed, strict=True):
        assert events_after == events_before
        assert type(after) is type(before)
        assert str(after).replace(NOWHERE, peer.url) == str(before)


@EVERY
def test_calls_refusals_and_repeats(binding: type[Session], tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    good = {"result": "r", "trace_id": "t", "output": None, "mode": "ALLOW", "budget": 1.0, "latency_ms": 1.0}
    scripts: list[Script] = [
        [send(response(429, b"{}", "Retry-After: 0.01"))],
        [send(ok(good, "X-Request-Id: 4711"))],
        [send(response(404, b'{"error": {"message": "there is none"}}'))],
    ]

    def call(session: Session) -> list[Any]:
        result = session.call("run", "hello", session_id="s")
        with pytest.raises(HestiaError) as caught:
            session.call("trace", "t/1")
        return [result, type(caught.value), str(caught.value).replace(NOWHERE, peer.url)]

    with (
        Peer(*scripts) as peer,
        Cassette(path, record=True) as cassette,
        HttpxSync(peer.url, cassette=cassette, retries=1) as session,
    ):
        expected = call(session)
    cassette = Cassette(path)
    with binding(NOWHERE, cassette=cassette, retries=1) as session:
        assert call(session) == expected
    assert cassette.problems() == []


@EVERY
def test_a_request_that_was_not_recorded(binding: type[Session], tmp_path: Path) -> None:
    path = tmp_path / "report.jsonl"
    with (
        Peer() as peer,
        Cassette(path, record=True) as cassette,
        HttpxSync(peer.url, cassette=cassette) as session,
    ):
        session.call("run", "create a report")
    cassette = Cassette(path)
    with binding(NOWHERE, cassette=cassette) as session:
        with pytest.raises(LocalProtocolError) as caught:
            session.call("run", "create the report")
        assert caught.value.code == "NOT_RECORDED"
        for part in (
            "report.jsonl",
            "create the report",
            "the most similar unused one is",
            "create a report",
            "--hestiaos-record",
        ):
            assert part in caught.value.message
        session.call("run", "create a report")
        with pytest.raises(LocalProtocolError, match="has been used"):
            session.call("run", "create a report")
        events, error = read(session)
        assert (events, error and error.code) == ([], "NOT_RECORDED")
    assert len(cassette.problems()) == 3


@pytest.mark.parametrize("binding", params(REMOTE))
def test_a_cassette_holds_no_secret(binding: type[Session], tmp_path: Path) -> None:
    """Neither the key nor a secret, whoever said it, before or after it was set, whole or cut in two."""
    path = tmp_path / "c.jsonl"
    told = event({"type": "token", "data": {"text": f"{KEY} {LATER}"}})
    at = told.index(LATER.encode()) + 5
    scripts: list[Script] = [
        [send(response(500, f"{KEY} {LATER}".encode(), f"X-Echo: {LATER}", "Set-Cookie: a=session-0815"))],
        [send(ok({"stored": LATER}))],
        [send(ok({"value": "fetched-4711"}))],
        [send(ok({"value": f"fetched-4711 {LATER}"}))],
        [send(STREAM_HEAD + chunk(event(VALUES[0]))), send(chunk(told[:at])), send(chunk(told[at:])), close],
    ]

    def call(session: Session) -> None:
        with pytest.raises(HestiaError):
            session.call("run", f"what is {LATER}?")
        session.call("set_secret", "name", LATER)
        session.call("get_secret", "name")
        session.call("get_secret", "name")
        stream = session.stream(f"tell me {LATER} and the given-4711")
        assert [stream.next().type, stream.next().type] == ["start", "token"]
        stream.close()

    with (
        Peer(*scripts) as peer,
        Cassette(path, record=True, secrets=["given-4711"]) as cassette,
        binding(peer.url, cassette=cassette, headers={"X-Token": "token-4711"}) as session,
    ):
        call(session)
    data = path.read_bytes()
    for secret in (KEY, LATER, "fetched-4711", "session-0815", "token-4711", "given-4711", "Bearer"):
        assert secret.encode() not in data, secret
    joined = b"".join(recorded_pieces(path))
    assert LATER.encode() not in joined
    assert joined.count(b"***") >= 5
    with HttpxSync(NOWHERE, cassette=Cassette(path), api_key="another") as session:
        call(session)
