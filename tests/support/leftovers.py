"""What is open in this process, and what is left of it after a while: file descriptors and threads."""

from __future__ import annotations

import gc
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")
_PATIENCE = 30.0  # seconds for what ends by itself, such as the other side of a connection


def open_things() -> set[str]:
    """The open descriptors, where the system tells of them, and the threads."""
    # trio keeps the threads in which it looks up names for ten seconds, for whichever run comes next.
    threads = {f"thread {each.ident} {each.name}" for each in threading.enumerate() if not each.name.startswith("Trio")}
    return threads | _descriptors()


def _descriptors() -> set[str]:
    found = set()
    for each in _DESCRIPTORS.iterdir() if _DESCRIPTORS.exists() else ():
        with suppress(OSError):  # the one by which the folder was read
            found.add(f"descriptor {each.name} {os.readlink(each)}")
    return found


def left_over(before: set[str], most: int = 0) -> set[str]:
    """What is open and was not `before`, once all but `most` have had time to end."""
    end = time.monotonic() + _PATIENCE
    while len(left := open_things() - before) > most and time.monotonic() < end:
        gc.collect()
        time.sleep(0.01)
    return left
