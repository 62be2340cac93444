"""Bytes of good and bad responses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

RUN = {"result": "r", "trace_id": "t", "output": None, "mode": "ALLOW", "budget": 1.0, "latency_ms": 1.0}
HEALTH = {"status": "ok", "version": "1", "uptime_seconds": 1.0}

GOOD_BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/v1/run"): RUN,
    ("GET", "/api/v1/health"): HEALTH,
    ("POST", "/api/chat"): {"response": "r", "session_id": "s"},
    ("POST", "/api/secrets"): {},
}

START, TOKEN, FINAL, DONE = (
    {"type": "start", "data": {}},
    {"type": "token", "data": {"text": "a"}},
    {"type": "final", "data": {"result": "a"}},
    {"type": "done", "data": {}},
)
GOOD_EVENTS = (START, TOKEN, FINAL, DONE)

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSING_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
HEARTBEAT = b": heartbeat\n\n"


def to_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def response(
    status: int = 200,
    body: bytes = b"",
    *headers: str,
    content_type: str = "application/json",
    length: int | None = None,
) -> bytes:
    """A whole response; `length` is what it says of its body, by default the truth."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", *headers]
    if status != 204:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def ok(value: Any, *headers: str) -> bytes:
    return response(200, to_json(value), *headers)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunked(pieces: Iterable[bytes], *headers: str, content_type: str = "application/json") -> bytes:
    """A whole response with one chunk for each piece."""
    lines = ["HTTP/1.1 200 OK", f"Content-Type: {content_type}", "Transfer-Encoding: chunked", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + b"".join(map(chunk, pieces)) + LAST_CHUNK


def event(value: Any) -> bytes:
    return b"data: " + to_json(value) + b"\n\n"


def events(*values: Any) -> bytes:
    return b"".join(map(event, values))


def stream(*pieces: bytes, content_type: str = "text/event-stream") -> bytes:
    """A whole stream's response with one chunk for each piece."""
    return chunked(pieces, content_type=content_type)


GOOD_STREAM = stream(*map(event, GOOD_EVENTS))
