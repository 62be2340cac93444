"""Streams of runs as bytes, and what a `RunStream` makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hestiaos_proto import HestiaError, RunStream, StreamEvent

__all__ = [
    "DONE",
    "FINAL",
    "GOOD",
    "GOOD_TYPES",
    "START",
    "TOKEN",
    "TYPES",
    "fault_of",
    "feed",
    "frames",
    "steps",
    "whole",
]

TYPES = ("start", "token", "delta", "tool_call", "final", "error", "done")

START = b'data: {"type":"start"}\n\n'
TOKEN = b'data: {"type":"token","data":{"text":"a"}}\n\n'
FINAL = b'data: {"type":"final","data":{"result":"a"}}\n\n'
DONE = b'data: {"type":"done"}\n\n'
GOOD = START + TOKEN + FINAL + DONE
GOOD_TYPES = ["start", "token", "final", "done"]


def frames(*payloads: str | bytes) -> bytes:
    """These payloads, each in a block of its own."""
    return b"".join(b"data: " + (p.encode() if isinstance(p, str) else p) + b"\n\n" for p in payloads)


def feed(stream: RunStream, pieces: Iterable[bytes]) -> tuple[list[StreamEvent], HestiaError | None]:
    """What comes of a stream in these pieces: its events, and the fault after them."""
    events: list[StreamEvent] = []
    for piece in pieces:
        stream.receive_data(piece)
        try:
            for event in stream.events():
                events.append(event)  # one by one: those before a fault are kept
        except HestiaError as error:
            return events, error
    return events, None


def whole(data: bytes, **options: Any) -> list[StreamEvent]:
    """The events of a stream that ends, and ends well."""
    events, fault = feed(RunStream(**options), [data, b""])
    assert fault is None, fault
    return events


def fault_of(data: bytes, **options: Any) -> tuple[int, HestiaError]:
    """How many events a stream gives that ends in a fault, and the fault."""
    events, fault = feed(RunStream(**options), [data, b""])
    assert fault is not None
    return len(events), fault


def steps(stream: RunStream, pieces: Iterable[bytes]) -> Iterator[tuple[object, ...]]:
    """Each event as it is handed out, with all that the stream says then; last what it raised, if it did."""
    for piece in pieces:
        stream.receive_data(piece)
        try:
            for event in stream.events():
                assert stream.last_event is event
                yield repr(event), event.extra, stream.events_received, stream.text, stream.final, stream.finished
        except HestiaError as error:
            yield repr(error), stream.events_received, stream.text, stream.final, stream.finished
            return
