"""`SSEDecoder`: any bytes, cut anyhow, give the events of the standard up to the first that is too large."""

from __future__ import annotations

import re

from cutting import Way, choose, expected, held, stays, whole

from hestiaos_proto import ProtocolError, ServerSentEvent, SSEDecoder

__all__ = ["check"]

_SIZES = (1 << 20, 256, 48, 16)  # of the largest event, in bytes; the options choose one

_Reading = tuple[list[ServerSentEvent], str | None, str, int | None]


def check(data: bytes) -> None:
    options, way, body, pieces = choose(data)
    size = _SIZES[options % len(_SIZES)]
    reading = _read(whole(body), size)
    assert _read(pieces, size, measured=way is Way.MEASURED) == reading, "another cut, another reading"
    events, error, last_id, reconnection_time = reading
    by_standard, *rest = _by_the_standard(body.decode("utf-8", "replace"))
    if error is None:
        assert (events, last_id, reconnection_time) == (by_standard, *rest)
        assert all(len(event.data) <= size for event in events)
    else:
        assert events == by_standard[: len(events)]
        assert len(body) > size


def _read(pieces: list[bytes], size: int, *, measured: bool = False) -> _Reading:
    decoder = SSEDecoder(size)
    events: list[ServerSentEvent] = []
    error = None
    try:
        for piece in [*pieces, b""]:
            decoder.receive_data(piece)
            for event in decoder.events():
                events.append(event)
            # A line, and the data, the type and the id of an event, this one's and the last one's.
            assert not measured or held(decoder) <= 5 * size + 100
    except ProtocolError as fault:
        error = repr(expected(fault))
        stays(fault, decoder)
        assert not measured or held(decoder) <= 5 * size + 1000
    return events, error, decoder.last_event_id, decoder.reconnection_time


def _by_the_standard(text: str) -> tuple[list[ServerSentEvent], str, int | None]:
    """The WHATWG HTML standard, section 9.2.6, without a thought for speed."""
    events: list[ServerSentEvent] = []
    last_id = next_id = kind = ""
    time = retry = None
    lines: list[str] = []
    # What comes after the last line end is discarded.
    for line in re.split("\r\n|\r|\n", text.removeprefix("\ufeff"))[:-1]:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            last_id = next_id
            if lines:
                events.append(ServerSentEvent("\n".join(lines), kind or "message", last_id, retry))
            lines, kind, retry = [], "", None
        elif field == "data":
            lines.append(value)
        elif field == "event":
            kind = value
        elif field == "id" and "\0" not in value:
            next_id = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            time = retry = int(value)
    return events, last_id, time
