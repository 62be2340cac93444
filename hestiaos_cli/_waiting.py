"""A spinner on standard error, after a second of waiting."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from hestiaos_cli._terminal import may_draw, symbol

__all__ = ["waiting"]

_DELAY = 1.0  # seconds
_TURN = 0.1


@contextmanager
def waiting() -> Iterator[Callable[[], None]]:
    """Show an indicator of waiting on a terminal, until the block ends or the function that it yields is called."""
    over = Event()
    spinner = Thread(target=_spin, args=(over,), daemon=True) if may_draw(sys.stderr) else None
    if spinner is not None:
        spinner.start()

    def stop() -> None:
        over.set()
        if spinner is not None:
            spinner.join()

    try:
        yield stop
    finally:
        stop()


def _spin(over: Event) -> None:
    if over.wait(_DELAY):
        return
    frames = symbol("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\", sys.stderr)
    turn = 0
    while not over.wait(_TURN):
        sys.stderr.write(f"\r{frames[turn % len(frames)]}")
        sys.stderr.flush()
        turn += 1
    sys.stderr.write("\r \r")
    sys.stderr.flush()
