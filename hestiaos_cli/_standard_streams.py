"""Standard input, output and error, which may be closed by the shell.

All output is written here or raises `OutputFailed`, so that a result is never lost with exit status 0.
"""

from __future__ import annotations

import io
import os
import sys
from errno import EBADF
from typing import cast

__all__ = ["OutputFailed", "drop_output", "flush_output", "prepare_standard_streams", "write_bytes"]


class OutputFailed(Exception):
    """Standard output cannot be written to: the disk is full, it is closed, or the pipe's reader has ended."""

    def __init__(self, error: OSError) -> None:
        super().__init__("it is closed" if error.errno == EBADF else error.strerror or str(error))
        self.closed_pipe = isinstance(error, BrokenPipeError)


class _Output(io.TextIOWrapper):
    """Standard output. Characters that its encoding cannot represent, such as lone surrogates, are escaped."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise OutputFailed(error) from error

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise OutputFailed(error) from error


def prepare_standard_streams() -> None:
    """Replace `sys.stdout`, and reserve the descriptors of closed streams, so that files opened later do not get them.

    Otherwise a database or a socket could get the descriptor 2, and errors of C code would be written into it.
    """
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:  # closed, or neither readable nor writable
            os.open(os.devnull, flags)
    given = cast("io.TextIOWrapper | None", sys.stdout)
    if given is None:
        sys.stdout = _Output(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), "utf-8", "backslashreplace")
    elif type(given) is io.TextIOWrapper:  # not an object with which a program or a test replaced it
        encoding, line_buffering = given.encoding, given.line_buffering
        sys.stdout = _Output(given.detach(), encoding, "backslashreplace", line_buffering=line_buffering)
    if cast("io.TextIOWrapper | None", sys.stderr) is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for as long as the process lives


def flush_output() -> None:
    """Write buffered data. Raises `OutputFailed`."""
    sys.stdout.flush()


def write_bytes(data: bytes) -> None:
    """Write bytes to standard output as they are. Raises `OutputFailed`."""
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise OutputFailed(error) from error


def drop_output() -> None:
    """Discard buffered data, which Python would try to write at exit, and then end with an exit status of 120."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
