"""Matches a request with the recorded ones.

Method, path with its query, and body are compared, the body as a JSON value. Headers are not: they contain the key,
and an idempotency key that is new for each call. `***` in the recording replaces a secret, and matches any text.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Any

from hestiaos.cassettes._format import RecordedRequest

__all__ = ["excerpt", "matches", "nearest"]

_SHOWN = 60  # characters of a request that a message repeats, around the first difference


def matches(recorded: RecordedRequest, made: RecordedRequest) -> bool:
    """Return whether a recorded request matches the one that was made."""
    return (
        recorded.method == made.method
        and _match(recorded.path, made.path)
        and type(recorded.body) is type(made.body)
        and _match(recorded.body, made.body)
    )


def _match(recorded: Any, made: Any) -> bool:
    if isinstance(recorded, str) and isinstance(made, str):
        return recorded == made if "***" not in recorded else _match_text(recorded, made)
    if isinstance(recorded, dict) and isinstance(made, dict):
        return recorded.keys() == made.keys() and all(_match(value, made[name]) for name, value in recorded.items())
    if isinstance(recorded, list) and isinstance(made, list):
        return len(recorded) == len(made) and all(map(_match, recorded, made))
    return bool(type(recorded) is type(made) and recorded == made)


def _match_text(recorded: str, made: str) -> bool:
    """Whether a text is the recorded one, with any text for each `***`; the time grows with its length, no faster."""
    first, *inner, last = recorded.split("***")
    place, end = len(first), len(made) - len(last)
    if place > end or not (made.startswith(first) and made.endswith(last)):
        return False
    for part in inner:
        place = made.find(part, place, end) + len(part)
        if place < len(part):
            return False
    return True


def nearest(made: RecordedRequest, recorded: Iterable[RecordedRequest]) -> RecordedRequest | None:
    """Return the recorded request that has the longest beginning in common with this one, or `None`."""
    return max(recorded, key=lambda each: _common_length(str(each), str(made)), default=None)


def excerpt(request: RecordedRequest, other: RecordedRequest | None = None) -> str:
    """Format a request for messages. A long body is cut to the part around its first difference from the other's."""
    whole = str(request)
    head = f"{request.method} {request.path}"
    body = whole[len(head) :]
    if len(body) <= 2 * _SHOWN:
        return whole
    start = 1 if other is None else max(1, _common_length(whole, str(other)) - len(head) - _SHOWN // 2)
    stop = start + 2 * _SHOWN
    return f"{head} {'…' if start > 1 else ''}{body[start:stop]}{'…' if stop < len(body) else ''}"


def _common_length(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
