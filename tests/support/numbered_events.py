"""A run's stream with ids, as a server that can resume sends it, and what of it follows a `Last-Event-ID`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

__all__ = ["RUN", "after", "numbered", "place_of"]

RUN = "7f9c-run"


def numbered(payloads: Sequence[str], first: int = 0, end: str = "\n") -> list[bytes]:
    """The blocks of these payloads, with the ids `RUN/0`, `RUN/1`, …"""
    return [
        f"id: {RUN}/{number}{end}data: {payload}{end}{end}".encode()
        for number, payload in zip(count(first), payloads, strict=False)
    ]


def place_of(last_event_id: str | None) -> int:
    """How many events a client with this `Last-Event-ID` has had."""
    return 0 if last_event_id is None else int(last_event_id.removeprefix(f"{RUN}/")) + 1


def after(blocks: Sequence[bytes], last_event_id: str | None) -> bytes:
    """The stream that goes on after this event."""
    return b"".join(blocks[place_of(last_event_id) :])
