"""What the tests of the core share: cutting bytes at every place, and a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, islice

import pytest


@pytest.fixture(params=[pytest.param(7, id="some cuts"), pytest.param(1, id="all cuts", marks=pytest.mark.thorough)])
def cuts(request: pytest.FixtureRequest) -> Callable[[bytes], Iterator[list[bytes]]]:
    """A function: `data` whole, byte by byte, cut into two pieces at every place, and into three at some or all."""

    def every_cut(data: bytes) -> Iterator[list[bytes]]:
        yield [data]
        yield [data[i : i + 1] for i in range(len(data))]
        for i in range(1, len(data)):
            yield [data[:i], data[i:]]
        for i, j in islice(combinations(range(1, len(data)), 2), 0, None, request.param):
            yield [data[:i], data[i:j], data[j:]]

    return every_cut


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()
