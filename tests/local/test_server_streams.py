"""Streams over real sockets: their pace, their heartbeats, and clients that go away."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Callable

import pytest

from tests.support.raw_client import HEALTH, RUN, RawClient, post
from tests.support.watched_platforms import Halting, Watched


def test_a_request_that_comes_during_a_stream_is_answered_after_it(start: Callable[..., str]) -> None:
    with RawClient(start(token_delay=0.05)) as peer:
        peer.send(post("/api/v1/run/stream", RUN))
        assert peer.head()[0] == 200
        assert b'"start"' in peer.event()
        peer.send(HEALTH)
        assert len(peer.events()) == 6
        assert peer.response()[1]["status"] == "ok"


@pytest.mark.own_server("an ASGI server takes a client that sends no more as gone")
def test_a_client_that_sends_no_more_still_gets_its_stream(start: Callable[..., str]) -> None:
    with RawClient(start(token_delay=0.02, heartbeat=0.015)) as peer:
        peer.send(post("/api/v1/run/stream", RUN))
        peer.socket.shutdown(socket.SHUT_WR)
        assert b'"done"' in peer.stream()[-1]
        assert peer.at_end()


@pytest.mark.own_server("an ASGI server ends the connection of an HTTP/1.0 client; hypercorn on trio does not")
def test_an_old_client_gets_its_stream_up_to_the_end_of_the_connection(start: Callable[..., str]) -> None:
    with RawClient(start()) as peer:
        peer.send(post("/api/v1/run/stream", RUN).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert peer.head()[0] == 200
        assert peer.file.read().count(b"data: ") == 7


def test_heartbeats_go_out_while_a_token_is_waited_for(start: Callable[..., str]) -> None:
    with RawClient(start(token_delay=3600.0, heartbeat=0.02)) as peer:
        peer.send(post("/api/v1/run/stream", RUN))
        assert peer.head()[0] == 200
        assert b'"start"' in peer.event()
        assert [peer.event() for _ in range(3)] == [b": heartbeat\n\n"] * 3


def test_heartbeats_leave_the_events_as_they_are(start: Callable[..., str]) -> None:
    with RawClient(start(token_delay=0.1, heartbeat=0.02)) as peer:
        peer.send(post("/api/v1/run/stream", json.dumps({"input": "x"}).encode()))
        events = [event.split(b"\n")[0][:15] for event in peer.stream()]
    assert events.count(b'data: {"type":"') == 5
    assert set(events) <= {b": heartbeat", b'data: {"type":"'}


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("delay", [0.0, 3600.0], ids=["at once", "waiting"])
def test_a_client_that_goes_away_ends_its_stream_alone(start: Callable[..., str], reset: bool, delay: float) -> None:
    words = "word " * (2 if delay else 1_000_000)
    with Watched() as platform:
        # One that has closed may still read, for all that can be told before something is written to it.
        url = start(platform=platform, token_delay=delay, heartbeat=3600.0 if reset else 0.05)
        with RawClient(url) as peer:
            peer.send(post("/api/v1/run/stream", json.dumps({"input": words}).encode()))
            assert peer.head()[0] == 200
            assert b'"start"' in peer.event()
            if reset:
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert platform.stream_ended.wait(50)
        with RawClient(url) as peer:
            peer.send(HEALTH)
            assert peer.response()[0] == 200


@pytest.mark.own_server("an ASGI server reads no more than it has room for")
def test_a_client_that_sends_on_and_on_during_its_stream_is_left(start: Callable[..., str]) -> None:
    with Watched() as platform:
        with RawClient(start(platform=platform, token_delay=3600.0)) as peer, contextlib.suppress(ConnectionError):
            peer.send(post("/api/v1/run/stream", RUN))
            for _ in range(32):
                peer.send(b"x" * 1024**2)
        assert platform.stream_ended.wait(50)


def test_the_first_event_does_not_wait_for_the_next(start: Callable[..., str]) -> None:
    with Halting() as platform, RawClient(start(platform=platform, token_delay=0.0)) as peer:
        peer.send(post("/api/v1/run/stream", RUN))
        assert peer.head()[0] == 200
        assert b'"start"' in peer.event()
        platform.go_on.set()
        assert len(peer.events()) == 6


def test_a_long_stream_comes_whole(start: Callable[..., str]) -> None:
    words = " ".join(["word"] * 5000)
    with RawClient(start(token_delay=0.0)) as peer:
        peer.send(post("/api/v1/run/stream", json.dumps({"input": words}).encode()))
        assert peer.head()[0] == 200
        events = peer.events()
        assert sum(b'"token"' in event for event in events) > 5000
        assert b'"done"' in events[-1]
