"""What the session `broad` runs: a promise over one more binding, event loop or page, or in a started program."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

__all__ = ["BROAD", "LOOPS", "broadly"]

BROAD = pytest.mark.broad


def broadly(values: Iterable[Any], few: int = 1) -> list[Any]:
    """Parameters of pytest: the first few are tested by default, the others by the session `broad`."""
    return [pytest.param(value, marks=[] if number < few else [BROAD]) for number, value in enumerate(values)]


LOOPS = broadly(["asyncio", "trio"])
"""The event loops, by their names."""
