"""httpx-sse, each event's data read by json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from httpx_sse import EventSource, connect_sse

from benchmarks.recording import pieces, run_request


@contextmanager
def decode(events: int, piece: int) -> Iterator[Callable[[], int]]:
    """Bytes to dicts; its public face takes an httpx response, which is one in memory."""
    data = pieces(events, piece)

    def work() -> int:
        return _read(EventSource(httpx.Response(200, headers={"Content-Type": "text/event-stream"}, content=data)))

    yield work


@contextmanager
def stream(url: str, events: int) -> Iterator[Callable[[], int]]:
    """A stream's dicts."""
    wanted = run_request(f"{events} events", stream=True)
    with httpx.Client(base_url=url) as client:

        def work() -> int:
            with connect_sse(client, "POST", "/api/v1/run/stream", json=wanted) as source:
                return _read(source)

        client.post("/api/v1/run", json=run_request("warm up")).json()
        yield work


def _read(source: EventSource) -> int:
    count = 0
    for event in source.iter_sse():
        json.loads(event.data)
        count += 1
    return count
