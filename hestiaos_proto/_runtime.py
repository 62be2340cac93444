"""What the core may not fetch for itself: clocks, random numbers, a logger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import frozen

from hestiaos_proto._hooks import Logger

__all__ = ["RandomSource", "Runtime"]


class RandomSource(Protocol):
    """The methods of `random.Random` that are used here."""

    def random(self) -> float: ...

    def getrandbits(self, k: int, /) -> int: ...


@frozen(eq=False)
class Runtime:
    """The things that the core may not fetch for itself: two clocks, in seconds, random numbers, and a logger.

    `monotonic` never decreases (`time.monotonic`), `time` counts from 1970 (`time.time`); `random` is a
    `random.SystemRandom()`, in a test a `random.Random(seed)`; `logger` is a `logging.Logger`.
    """

    monotonic: Callable[[], float]
    time: Callable[[], float]
    random: RandomSource
    logger: Logger | None = None
