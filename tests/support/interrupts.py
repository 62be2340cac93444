"""Exceptions out of nowhere: what a signal handler raises arrives between any two lines of the code that runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_TESTS = str(Path(__file__).parents[1])

# The machinery around the code under test. `logging` takes its global lock in a way that an interrupt can lose, which
# its users cannot mend, and swallows what is raised while it asks multiprocessing for the name of the process. psycopg
# waits for locks that are no `RLock`s: a tracer, but not a signal, can raise between the end of a `with` block and the
# release of its lock, which nobody then gets any more.
_SKIPPED = (
    "importlib",
    "_pytest",
    "pluggy",
    "logging",
    "multiprocessing",
    "psycopg",
    "traceback.py",
    "linecache.py",
    "tracemalloc.py",
)

Trace = Callable[[FrameType, str, Any], Any]


def interruptible(code: CodeType) -> bool:
    """Whether it is code under test: ours, a library's below ours, or the standard library's for them."""
    name = code.co_filename
    return not (name.startswith(_TESTS) or any(each in name for each in _SKIPPED))


class Interrupt:
    """An exception that is raised in the main thread before the `turn`th line of the code under test, from 1.

    It is over when `during` is left. Nothing is raised where the code has fewer lines.
    """

    def __init__(self, error: BaseException, turn: int) -> None:
        self.error = error
        self.where = ""
        """The line before which it was raised, with those that led to it; empty where it was not."""
        self.at = 0.0
        """When it was raised, as `time.monotonic` tells."""
        self.unraisable = False
        """Whether it came in a finalizer, from which nothing can be raised."""
        self.unraisable_others: list[BaseException] = []
        """What else finalizers have raised."""
        self._left = turn

    @contextmanager
    def during(self) -> Iterator[None]:
        """Trace the lines of what runs inside."""
        hook = sys.unraisablehook
        sys.unraisablehook = self._note_unraisable
        before = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(before)
            sys.unraisablehook = hook

    def _enter(self, frame: FrameType, event: str, arg: Any) -> Trace | None:
        return self._step if interruptible(frame.f_code) else None

    def _step(self, frame: FrameType, event: str, arg: Any) -> Trace:
        if event == "line":
            self._left -= 1
            if self._left == 0:
                sys.settrace(None)
                self.where = " < ".join(_places(frame))
                self.at = time.monotonic()
                raise self.error
        return self._step

    def _note_unraisable(self, unraisable: Any) -> None:
        if unraisable.exc_value is self.error:
            self.unraisable = True
        else:
            self.unraisable_others.append(unraisable.exc_value)


def _places(frame: FrameType | None, most: int = 4) -> Iterator[str]:
    while frame is not None and most and interruptible(frame.f_code):
        yield f"{'/'.join(frame.f_code.co_filename.split('/')[-2:])}:{frame.f_lineno} {frame.f_code.co_qualname}"
        frame, most = frame.f_back, most - 1
