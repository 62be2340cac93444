"""How much memory something takes."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


@contextmanager
def memory_stays_bounded(limit: int) -> Iterator[None]:
    """The process grows by at most `limit` bytes meanwhile, at its peak. Only Linux tells of a peak since now."""
    if not _RESET.exists():
        yield
        return
    gc.collect()
    _RESET.write_text("5")
    before = _peak()
    yield
    assert _peak() - before <= limit


def _peak() -> int:
    found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
