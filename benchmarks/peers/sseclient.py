"""sseclient-py, each event's data read by json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sseclient import SSEClient

from benchmarks.recording import pieces


@contextmanager
def decode(events: int, piece: int) -> Iterator[Callable[[], int]]:
    """Bytes to dicts."""
    data = pieces(events, piece)

    def work() -> int:
        count = 0
        for event in SSEClient(iter(data)).events():
            json.loads(event.data)
            count += 1
        return count

    yield work
