"""What is played to every contestant: event streams of 170-byte events, and one JSON response.

Each API has events of its own shape, all of the same size, for the clients that read no other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle, islice
from typing import Any

EVENT_SIZE = 170
"""Of one event on the wire, with its `data: ` and its blank line, in bytes."""

RUN_RESPONSE = {
    "result": "processed: create a report of the last quarter, by region",
    "output": None,
    "mode": "ALLOW",
    "budget": 1.0,
    "trace_id": "3f2a9c1e-8b4d-4f6a-9e2b-1c5d7a8b9e0f",
    "latency_ms": 12.5,
}

_TRACE = {"trace_id": "3f2a9c1e-8b4d-4f6a-9e2b-1c5d7a8b9e0f", "timestamp": "2025-11-22T10:40:00.123+00:00"}
_PROSE = re.findall(r"\S+ ", "the report of the last quarter is written by region and by product, with every source. ")
_DISTINCT = 1000  # after as many tokens they begin again


def run_request(text: str, *, stream: bool = False) -> dict[str, Any]:
    """The JSON of a run; the replay server plays as many events as `text` says."""
    return {"input": text, "context": {}, "options": {"timeout_ms": 30000, "stream": stream}}


def payloads(events: int) -> Iterator[bytes]:
    """The JSON of a stream of `events` events: `start`, tokens, `final` and `done`."""
    yield _dumps({"type": "start", "data": {"mode": "ALLOW", "budget": 1.0}, **_TRACE})
    yield from islice(cycle(_tokens("hestiaos")), events - 3)
    yield _dumps({"type": "final", "data": RUN_RESPONSE, **_TRACE})
    yield _dumps({"type": "done", "data": {}, **_TRACE})


def frames(events: int, shape: str = "hestiaos") -> list[bytes]:
    """The same as events on the wire, or as many events of another API.

    Those of a `model` server are OpenAI's and their end, which is two events more.
    """
    if shape == "hestiaos":
        return [frame(payload) for payload in payloads(events)]
    if shape == "model":
        return [*frames(events, "openai"), *map(frame, (_dumps(_FINISH), b"[DONE]"))]
    return [_HEADS.get(shape, b"") + frame(payload) for payload in islice(cycle(_tokens(shape)), events)]


@cache
def pieces(events: int, size: int, shape: str = "hestiaos") -> list[bytes]:
    """A stream in pieces of `size` bytes; 0 is one event a piece."""
    if not size:
        return frames(events, shape)
    whole = b"".join(frames(events, shape))
    return [whole[start : start + size] for start in range(0, len(whole), size)]


@cache
def size(events: int) -> int:
    """Of a stream, in bytes."""
    return sum(map(len, frames(events)))


def frame(payload: bytes) -> bytes:
    """One event on the wire."""
    return b"data: " + payload + b"\n\n"


@cache
def _tokens(shape: str) -> list[bytes]:
    words = cycle(_PROSE)
    size = EVENT_SIZE - len(_HEADS.get(shape, b"")) - len(frame(b""))
    return [_filled(_SHAPES[shape], index, words, size) for index in range(_DISTINCT)]


def _filled(build: Callable[[str, int], dict[str, Any]], index: int, words: Iterator[str], size: int) -> bytes:
    """A payload with as much text as makes it `size` bytes long."""
    room = size - len(_dumps(build("", index)))
    text = ""
    while len(text) < room:
        text += next(words)
    return _dumps(build(text[:room], index))


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


_FINISH = {
    "id": "chatcmpl-0",
    "object": "chat.completion.chunk",
    "created": 1763808000,
    "model": "m",
    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
}
_HEADS = {"anthropic": b"event: content_block_delta\n"}  # before the data: its client drops events without a type
_SHAPES: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "hestiaos": lambda text, index: {"type": "token", "data": {"text": text, "index": index}, **_TRACE},
    "openai": lambda text, index: {
        "id": f"chatcmpl-{index}",
        "object": "chat.completion.chunk",
        "created": 1763808000,
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
    },
    "anthropic": lambda text, index: {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": text},
    },
    "mcp": lambda text, index: {
        "jsonrpc": "2.0",
        "method": "notifications/message",
        "params": {"level": "info", "logger": str(index), "data": text},
    },
}
