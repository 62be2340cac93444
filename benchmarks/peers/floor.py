"""The floor of decoding: the JSON of the payloads alone, which somebody else has found in the bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.recording import payloads


@contextmanager
def decode_msgspec(events: int, piece: int) -> Iterator[Callable[[], int]]:
    """msgspec's decoder; it is given whole payloads, however large a piece is."""
    from msgspec.json import Decoder

    yield _work(Decoder().decode, events)


@contextmanager
def decode_json(events: int, piece: int) -> Iterator[Callable[[], int]]:
    """`json.loads`; it is given whole payloads, however large a piece is."""
    yield _work(json.loads, events)


@contextmanager
def one_event(size: int, piece: int, repeat: int) -> Iterator[Callable[[], int]]:
    """The payload of one large event: its pieces are joined, and msgspec reads them."""
    from msgspec.json import Decoder

    decode = Decoder().decode
    whole = b'{"data":"' + b"x" * (size - 11) + b'"}'

    def work() -> int:
        for _ in range(repeat):
            decode(b"".join([whole[start : start + piece] for start in range(0, size, piece)]))
        return size * repeat

    yield work


def _work(decode: Callable[[bytes], Any], events: int) -> Callable[[], int]:
    data = list(payloads(events))

    def work() -> int:
        count = 0
        for payload in data:
            decode(payload)
            count += 1
        return count

    return work
