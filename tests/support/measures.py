"""How much memory something takes."""

from __future__ import annotations

import gc
import re
import sys
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
    before = peak()
    yield
    assert peak() - before <= limit


def peak() -> int:
    """The most bytes that this process has had in memory since it was started.

    What `getrusage` tells on Linux is that of the process by which it was started, where that was larger.
    """
    if not _STATUS.exists():
        import resource  # Windows has none

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    found = re.search(r"^VmHWM:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024
