"""Programs in a pseudo-terminal, as a person would use them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Terminal"]

_PATIENCE = 50.0  # seconds
_SPINNER = re.compile(r"\r[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏|/\\-](?=\r)|\r \r")


class Terminal:
    """A program whose standard streams are a terminal of its own. What it prints is `shown`, as it comes."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], columns: int = 80, stdout: int | None = None
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.shown = ""
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            env=env,
            preexec_fn=_own_terminal,  # this process has no threads that hold locks here
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the terminal, as a person closes its window."""
        master, self._master = self._master, -1
        if master >= 0:
            os.close(master)

    def type(self, text: str) -> None:
        """Type `text`; `"\\x03"` is Ctrl-C, `"\\x04"` Ctrl-D."""
        os.write(self._master, text.encode("utf-8", "surrogateescape"))

    def expect(self, text: str) -> str:
        """Wait until `text` is shown. Returns what was shown before, and forgets both."""
        until = time.monotonic() + _PATIENCE
        while text not in self.shown:
            if not self._read(until):
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
        before, _, self.shown = self.shown.partition(text)
        return before

    def wait_for_rest(self) -> None:
        """Wait until the program waits for something, such as a key. Where the system does not tell, for a moment."""
        stat = Path(f"/proc/{self.process.pid}/stat")
        if not stat.exists():
            time.sleep(0.2)
            return
        until = time.monotonic() + _PATIENCE
        while not stat.read_text().rpartition(")")[2].startswith(" S"):
            assert time.monotonic() < until, "the program does not rest"
            time.sleep(0.001)

    def end(self) -> int:
        """Wait for the program's end. Returns its exit status, the negative signal where one ended it.

        What turns while a slow machine works is no longer in what was shown.
        """
        until = time.monotonic() + _PATIENCE
        while self._read(until):
            pass
        self.shown = _SPINNER.sub("", self.shown)
        return self.process.wait(_PATIENCE)

    def _read(self, until: float) -> bool:
        if not select.select([self._master], [], [], max(0.0, until - time.monotonic()))[0]:
            raise AssertionError(f"nothing more was shown after {self.shown!r}")
        data = b""
        with contextlib.suppress(OSError):  # Linux says so where the last program has closed the terminal
            data = os.read(self._master, 65536)
        self.shown += data.decode("utf-8", "replace")
        return bool(data)


def _own_terminal() -> None:
    """Make standard input the controlling terminal of a session of its own, so that Ctrl-C comes as a signal."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
