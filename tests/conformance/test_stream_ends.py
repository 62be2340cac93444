"""What comes after `done`, and text that comes in halves."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.support.peer import Peer
from tests.support.scenario import fault
from tests.support.sessions import Session
from tests.support.steps import Script, drip, pause, send, silence
from tests.support.wire import (
    CLOSING_STREAM_HEAD,
    FINAL,
    GOOD_EVENTS,
    HEARTBEAT,
    START,
    STREAM_HEAD,
    chunk,
    event,
    events,
    stream,
)

SOON = 20.0  # seconds; a server that goes on does so for a minute

GOING_ON = {
    "blank lines": b"\n",
    "an event type": b"event: x\n",
    "an id": b"id: 1\n",
    "a reconnection time": b"retry: 5\n",
    "comments": HEARTBEAT,
    "an unknown field": b"x: y\n",
    "a byte order mark": b"\xef\xbb\xbf",
    "the start of a line": b"i",
    "empty events": b"event: x\n\n",
    "nothing": b"",
}


@fault("a server that goes on after `done` (blank lines, `event:`, `id:`, `retry:`, comments)")
def test_a_server_that_goes_on_after_done(binding: type[Session]) -> None:
    cases = [(name, form) for name in GOING_ON for form in range(3)]
    with ThreadPoolExecutor(len(cases)) as threads:  # each waits for a second
        for future in [threads.submit(goes_on, binding, *case) for case in cases]:
            future.result()


def goes_on(binding: type[Session], name: str, form: int) -> None:
    whole, data = events(*GOOD_EVENTS), GOING_ON[name]
    scripts: list[Script] = [
        [send(STREAM_HEAD + chunk(whole)), *([pause(0.1), send(chunk(data))] * 600 if data else [silence])],
        [send(STREAM_HEAD + chunk(whole + data)), silence],
        [send(CLOSING_STREAM_HEAD + whole), drip(data * 600, 0.1), silence],
    ]
    with Peer(scripts[form]) as peer, binding(peer.url, timeout=30.0) as session:
        begun = time.monotonic()
        received, error = session.stream("x").read()
        assert time.monotonic() - begun < SOON, f"{name}, form {form}"
        assert error is None
        assert [each.type for each in received] == [each["type"] for each in GOOD_EVENTS]
        peer.wait_until_left(1)
        assert session.call("run", "x").result == "r"


def tokens(*texts: bytes, kind: bytes = b"token") -> bytes:
    """Events with these JSON texts, as they stand."""
    return b"".join(b'data: {"type":"%b","data":{"text":"%b"}}\n\n' % (kind, text) for text in texts)


HALVES = [
    ([b"\\ud83d", b"\\udd11"], "🔑"),
    ([b"a\\ud83d", b"\\udd11b"], "a🔑b"),
    ([b"\\ud83d", b"", b"\\udd11"], "🔑"),
    ([b"\\ud83d", b"\\udd11\\ud83d", b"\\udd11"], "🔑🔑"),
    ([b"\\ud83d\\udd11", b"\xf0\x9f\x94\x91"], "🔑🔑"),
]


@fault("a surrogate pair split over two `token` events")
def test_a_character_that_is_split_over_two_events(binding: type[Session]) -> None:
    with Peer() as peer, binding(peer.url) as session:
        for texts, expected in HALVES:
            for kind in b"token", b"delta":
                peer.add([send(stream(event(START), tokens(*texts, kind=kind), event(FINAL) + event(GOOD_EVENTS[-1])))])
                reading = session.stream("x")
                _, error = reading.read()
                assert error is None
                assert reading.native.text == expected
                assert reading.native.text.encode() == expected.encode()


@fault("a surrogate pair split over two `token` events")
def test_several_characters_that_are_split_over_two_events(binding: type[Session]) -> None:
    """The text can be asked for, and printed, after each event."""
    answer = stream(event(START), tokens(b"a\\ud83d"), tokens(b"\\udd11b"), events(*GOOD_EVENTS[2:]))
    with Peer([send(answer)]) as peer, binding(peer.url) as session:
        reading = session.stream("x")
        texts = [reading.native.text]
        while reading.next().type != "done":
            texts.append(reading.native.text)
        assert texts[:2] == ["", ""]
        assert texts[2][0] == "a"
        assert texts[3:] == ["a🔑b", "a🔑b"]
