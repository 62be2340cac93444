"""The input of a command: an argument, standard input, or both, as UTF-8."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

if TYPE_CHECKING:
    from hestiaos_cli._settings import Settings

__all__ = ["API_KEY", "decode", "open_stdin", "parse_json", "read_stdin", "read_text"]

API_KEY = "the API key"
_SILENCE = 1.0  # seconds without input after which a remark explains the wait


def read_text(settings: Settings, given: str | None, what: str, example: str) -> str:
    """Return the text of a command: the argument, piped input, or both, the argument first.

    `what` is its name in errors. Raises `UsageError` if there is none: on a terminal it does not wait for input
    that was not announced.
    """
    if given is not None and given != "-":
        piped = read_stdin(settings, what) if _is_piped(settings) else ""
        return f"{given}\n\n{piped}" if piped.strip() else given
    if given is None and _stdin_is_terminal():
        raise click.UsageError(f"{what} is missing: give it, as in: {example}; or pipe it in")
    text = read_stdin(settings, what)
    if given is None and not text.strip():
        raise click.UsageError(f"{what} is missing, and standard input is empty; give it, as in: {example}")
    return text


def read_stdin(settings: Settings, what: str) -> str:
    """Read all of standard input, without one newline at its end. Raises `UsageError` if it is not UTF-8."""
    data = open_stdin(settings, what).read()
    text = decode(data, f"{what} on standard input")
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def open_stdin(settings: Settings, what: str) -> BinaryIO:
    """Return standard input, for one reader. Raises `UsageError` if it is closed, or is read for the API key."""
    if cast("object", sys.stdin) is None:
        raise click.UsageError(f"standard input is closed: give {what} itself instead of '-'")
    if settings.api_key == "-" and what != API_KEY:
        raise click.UsageError(f"standard input is read for {API_KEY} (-k -): give {what} in another way")
    return sys.stdin.buffer


def decode(data: bytes, what: str) -> str:
    """Decode `data` as UTF-8. Raises `UsageError` with the position of invalid data."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise click.UsageError(
            f"{what} is not UTF-8: byte {error.start + 1}, 0x{data[error.start]:02x} in line {line}, is wrong"
        ) from None


def parse_json(text: str, what: str) -> Any:
    """Parse a JSON text, as strictly as servers do. Raises `UsageError` if it is not JSON."""
    from hestiaos_proto import json

    try:
        return json.loads(text.encode())
    except ValueError as error:
        raise click.UsageError(f"{what} is not JSON: {error}") from None


def _stdin_is_terminal() -> bool:
    return cast("object", sys.stdin) is not None and sys.stdin.isatty()


def _is_piped(settings: Settings) -> bool:
    """Return whether to read standard input in addition to an argument.

    A pipe is read, and a file from its beginning. A file that has been read from is probably read by a shell loop, and
    a socket is often left open by programs and remote shells without ever being written to.
    """
    if cast("object", sys.stdin) is None or settings.api_key == "-":
        return False
    mode = os.fstat(sys.stdin.fileno()).st_mode
    if stat.S_ISREG(mode):
        return os.lseek(sys.stdin.fileno(), 0, os.SEEK_CUR) == 0
    return stat.S_ISFIFO(mode) and _announced()


def _announced() -> bool:
    """Wait for the first data of a pipe, and print a remark if it takes long."""
    if os.name != "posix":
        return True
    from select import select

    if not select([sys.stdin], [], [], _SILENCE)[0]:
        from hestiaos_cli._failures import tell

        tell("reading standard input too, until its end; </dev/null leaves it out")
    return True
