"""Data in pieces, as a network may hand it over."""

from __future__ import annotations

from itertools import pairwise

__all__ = ["cut", "cut_after_head"]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` cut at these places, counted around its length."""
    cuts = [0, *sorted({place % len(data) for place in places} if data else ()), len(data)]
    return [data[start:stop] for start, stop in pairwise(cuts) if start < stop]


def cut_after_head(data: bytes, places: list[int]) -> list[bytes]:
    """The same of a response whose head, up to the first blank line, comes in one piece."""
    end = data.find(b"\r\n\r\n") + 4
    return [*cut(data[:end], []), *cut(data[end:], places)]
