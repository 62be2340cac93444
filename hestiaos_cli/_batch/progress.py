"""Show the progress of a batch on standard error."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress

from hestiaos_cli._terminal import may_draw, symbol, width

__all__ = ["Progress", "duration"]

_CLEAR = "\r\x1b[K"
_EVERY = 0.1  # seconds between two drawings


class Progress:
    """A bar with the remaining time, on a terminal only. `total` is `None` if it is unknown.

    It is not `drawn` if the results themselves are shown.
    """

    def __init__(self, total: int | None, *, drawn: bool = True) -> None:
        self._total = total
        self._drawn = drawn and may_draw(sys.stderr)
        self._began = time.monotonic()
        self._next = 0.0
        self._run = 0  # inputs run by this process
        self._done = 0  # including those done before
        self._failed = 0
        self._paused: float | None = None  # seconds

    @property
    def seconds(self) -> float:
        """The time taken so far."""
        return time.monotonic() - self._began

    def skip(self) -> None:
        """Count an input that was done before."""
        self._done += 1

    def advance(self, *, failed: bool) -> None:
        """Count an input that is done."""
        self._paused = None
        self._run += 1
        self._done += 1
        self._failed += failed
        if self._drawn and (now := time.monotonic()) >= self._next:
            self._next = now + _EVERY
            self._draw()

    def pause(self, seconds: float) -> None:
        """Show that all calls wait for these seconds, as the server requested."""
        self._paused = seconds
        if self._drawn:
            self._draw()

    def clear(self) -> None:
        """Remove the bar."""
        if self._drawn:
            self._write(_CLEAR)

    def say_at_once(self, text: str) -> None:
        """Print a line instead of the bar, from a signal handler that may have interrupted a write to the stream."""
        with suppress(OSError):  # the terminal was closed
            os.write(sys.stderr.fileno(), f"{_CLEAR if self._drawn else ''}{text}\n".encode())

    def line(self, columns: int) -> str:
        """Format the line in at most this many columns."""
        rate = self._run / max(self.seconds, 1e-6)
        parts = [f"{self._done:,}", f"{rate:.1f}/s" if rate < 10 else f"{rate:.0f}/s"]
        if self._total is not None:
            parts[0] += f"/{self._total:,}"
        if self._paused is not None:
            parts[1] = f"the server asks to wait {duration(self._paused)}"
        elif self._total is not None:
            parts.append(f"{duration((self._total - self._done) / rate)} left" if self._run else "")
        parts.append(f"{self._failed:,} failed" if self._failed else "")
        text = "  ".join(filter(None, parts))
        room = columns - len(text) - 4
        if self._total is None or room < 5:
            return text[:columns]
        share = min(1.0, self._done / max(1, self._total))
        room = min(room, 40)
        full = int(room * share)
        return f"[{symbol('█', '#', sys.stderr) * full}{'.' * (room - full)}]  {text}"

    def _draw(self) -> None:
        self._write(f"\r{self.line(width() - 1)}\x1b[K")

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except OSError:  # the terminal was closed; the batch continues
            self._drawn = False


def duration(seconds: float) -> str:
    """Format a duration for people: `0:07`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
