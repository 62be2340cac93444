"""A stream that a thread reads is cancelled by another, wherever it is."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import pytest

from hestiaos import Client, EventStream
from tests.support.http_library import http
from tests.support.leftovers import left_over, open_things
from tests.support.peer import Peer
from tests.support.places import certificates
from tests.support.steps import Connection, silence

PATIENCE = 20.0  # seconds; who is not cancelled waits longer


def cancelled_while_blocked(stream: EventStream, blocked: threading.Event, how: Callable[[], object]) -> list[str]:
    """What a reader in another thread has read of `stream` when it is cancelled."""
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(event.type for event in stream))
    reader.start()
    assert blocked.wait(PATIENCE)
    how()
    reader.join(PATIENCE)
    assert not reader.is_alive()
    return read


@pytest.mark.parametrize("how", ["cancel", "event"])
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("earlier", [0, 1, 3])
def test_a_stream_that_waits_for_its_head(earlier: int, scheme: str, how: str) -> None:
    serving, trusting = certificates()
    before = open_things()
    event, arrived = threading.Event(), threading.Event()

    def arrive(connection: Connection) -> None:
        arrived.set()

    with Peer(tls=serving if scheme == "https" else None) as peer:
        with Client(peer.url, verify=trusting) as client:
            for _ in range(earlier):
                assert [each.type for each in client.run_stream("a")][-1] == "done"
            peer.add([arrive, silence])
            stream = client.run_stream("a", cancel=event if how == "event" else None)
            assert cancelled_while_blocked(stream, arrived, event.set if how == "event" else stream.cancel) == []
            peer.wait_until_left(1)
        assert peer.connections == 1
    assert left_over(before) == set()


@pytest.mark.parametrize("how", ["cancel", "event"])
def test_a_stream_that_waits_for_its_next_attempt(how: str) -> None:
    event = threading.Event()
    begun = threading.Event()
    refused = http.Response(503, headers={"Retry-After": "50"})

    class Refusing(http.BaseTransport):
        def handle_request(self, request: http.Request) -> http.Response:
            begun.set()
            return refused

    with Client(transport=Refusing()) as client:
        stream = client.run_stream("a", cancel=event if how == "event" else None)
        assert cancelled_while_blocked(stream, begun, event.set if how == "event" else stream.cancel) == []


def test_cancellation_while_a_stream_connects(server_url: str) -> None:
    with http.Client(event_hooks={"request": [lambda request: stream.cancel()]}) as http_client:
        stream = Client(server_url, http_client=http_client).run_stream("a")
        assert list(stream) == []
        gc.collect()  # an unclosed socket would warn here, and a warning is an error


def test_a_late_cancellation_does_not_reach_the_next_stream_of_the_connection(server_url: str) -> None:
    with Client(server_url) as client:
        over = client.run_stream("a")
        list(over)
        following = client.run_stream("a b")
        assert next(following).type == "start"
        over.cancel()
        assert [event.type for event in following][-1] == "done"
