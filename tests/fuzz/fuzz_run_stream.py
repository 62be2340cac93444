"""`RunStream`, strict and not: any bytes, cut anyhow, give what a naive reader makes of them, or a `ProtocolError`."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from cutting import KEY, Way, choose, discreet, held, stays, whole

from hestiaos_proto import ConnectionLost, LocalProtocolError, ProtocolError, RunStream, StreamEvent
from hestiaos_proto._redaction import Redactor

__all__ = ["check"]

_LENIENT = 0x01
_LOST = 0x02  # the connection is lost in the place of an end
_SIZES = (1 << 20, 256, 48, 16)  # of the largest event, in bytes; two bits of the options choose one

_Reading = tuple[list[StreamEvent], str | None, object]


def check(data: bytes) -> None:
    options, way, body, pieces = choose(data)
    reading = _read(whole(body), options)
    assert _read(pieces, options, measured=way is Way.MEASURED) == reading, "another cut, another reading"
    events, error, _ = reading
    text = body.decode("utf-8", "replace")
    naive, complete, longest = _naive(text, not options & _LENIENT)
    size = _SIZES[options >> 2 & 3]
    if error is not None and len(text.encode()) > size:  # it may have been too much, as it is after the replacing
        assert events == naive[: len(events)]
    else:
        assert (events, error is None) == (naive, complete)
        assert longest <= size


def _read(pieces: list[bytes], options: int, *, measured: bool = False) -> _Reading:
    size = _SIZES[options >> 2 & 3]
    machine = RunStream(strict=not options & _LENIENT, max_event_size=size, redactor=Redactor(KEY))
    events: list[StreamEvent] = []
    error = None
    try:
        for piece in pieces:
            machine.receive_data(piece)
            for event in machine.events():
                events.append(event)
            # A line, an object in parts, the text, the last event and the final one; a JSON value takes a place each.
            assert not measured or held(machine) <= 10 * size + 1000
        if options & _LOST:
            machine.connection_lost(ConnectionLost("lost"))
        else:
            machine.receive_data(b"")
        for event in machine.events():
            events.append(event)
    except ProtocolError as fault:
        error = repr(discreet(fault))
        stays(fault, machine)
    assert machine.finished or error is None
    assert machine.events_received == len(events)
    assert machine.last_event == (events[-1] if events else None)
    parts = [event.data.get("text") for event in events if event.type in ("token", "delta")]
    text = "".join(part for part in parts if isinstance(part, str))
    try:
        kept = machine.text
    except LocalProtocolError:
        kept = None
    assert kept == (_printable(text) if len(text) <= size else None)
    return events, error, machine.final


def _printable(text: str) -> str:
    """Surrogate pairs are characters, and a lone surrogate is U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _naive(text: str, strict: bool) -> tuple[list[StreamEvent], bool, int]:
    """The events, whether the stream is whole, and its longest payload; every line joins what is open, and is tried."""
    events: list[StreamEvent] = []
    order = ""
    payload = ""
    longest = 0
    done = False
    for line in re.split("\r\n|\r|\n", text.removeprefix("\ufeff")):
        field, _, value = line.partition(":")
        if not line and payload:
            return events, False, longest
        if field.lstrip(" \t\v\f") != "data" or ":" not in line or not (value := value.strip()):
            continue
        payload = f"{payload}\n{value}" if payload else value
        longest = max(longest, len(payload))
        try:
            body = _parsed(payload)
        except ValueError:
            continue
        payload = ""
        try:
            event = _event(body)
        except (KeyError, TypeError):
            return events, False, longest
        order += _LETTERS.get(event.type, "" if not order.endswith(".") else "?")
        if strict and not re.fullmatch(r"(s(t*([fe]\.?)?)?)?", order):
            return events, False, longest
        events.append(event)
        done = done or event.type == "done"
    return events, done and not payload, longest


_LETTERS = {"start": "s", "token": "t", "delta": "t", "tool_call": "t", "final": "f", "error": "e", "done": "."}


def _parsed(text: str) -> Any:
    value = json.loads(text, parse_constant=_refused, parse_float=_finite)
    # RFC 8259, section 9, lets the depth be limited.
    if _depth(text) > 128:
        raise ValueError
    return value


def _depth(text: str) -> int:
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(\\.|[^"\\])*"', "", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _refused(name: str) -> Any:
    raise ValueError(name)


def _finite(digits: str) -> float:
    if math.isinf(number := float(digits)):
        raise ValueError(digits)
    return number


def _event(body: Any) -> StreamEvent:
    if not isinstance(body, dict):
        raise TypeError
    kind, data = body["type"], body.get("data", {})
    trace_id, timestamp = body.get("trace_id"), body.get("timestamp")
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise TypeError
    if not all(value is None or isinstance(value, str) for value in (trace_id, timestamp)):
        raise TypeError
    return StreamEvent(kind, data, trace_id or "", timestamp or "")  # type: ignore[arg-type]  # any type is read
