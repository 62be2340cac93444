"""Text for a terminal: colours, and escaped control characters."""

from __future__ import annotations

import os
import sys
from typing import TextIO

__all__ = ["columns", "dim", "is_terminal", "may_draw", "paint", "set_color", "symbol", "visible", "width"]

_NARROWEST, _WIDEST = 40, 100  # columns

_BIDI = (0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN = {
    code: f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0), *_BIDI) if chr(code) not in "\n\t"
}  # C0 and C1 control characters, and those that change the direction of writing

_RED, _GREEN, _YELLOW, _BOLD, _DIM = 31, 32, 33, 1, 2
_CODES = {"red": _RED, "green": _GREEN, "yellow": _YELLOW, "bold": _BOLD, "dim": _DIM}

_color: bool | None = None  # what --color says


def visible(text: str) -> str:
    """Escape every control character except newline and tab as in JSON, so that a terminal does not interpret any."""
    return text.translate(_SHOWN)


def is_terminal(stream: TextIO) -> bool:
    """Return whether a stream is a terminal."""
    return stream.isatty()


def may_draw(stream: TextIO) -> bool:
    """Return whether lines can be overwritten, as by a progress bar."""
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def set_color(choice: str | None) -> None:
    """Set the choice of `--color`: `"always"`, `"never"`, or `"auto"`."""
    global _color
    _color = {"always": True, "never": False}.get(choice or "")


def colored(stream: TextIO) -> bool:
    """Return whether to use colours: by --color, NO_COLOR or FORCE_COLOR, else on a terminal that supports them."""
    if _color is not None:
        return _color
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return may_draw(stream)


def paint(text: str, color: str, stream: TextIO) -> str:
    """Colour `text`, if the stream uses colours."""
    return f"\x1b[{_CODES[color]}m{text}\x1b[0m" if colored(stream) else text


def dim(text: str) -> str:
    """Dim `text` for standard error, if that uses colours."""
    return paint(text, "dim", sys.stderr)


def symbol(character: str, instead: str, stream: TextIO) -> str:
    """Return `character`, or its replacement if the stream's encoding does not have it."""
    try:
        character.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return instead
    return character


def width() -> int:
    """Return the maximum number of columns of text for people."""
    return max(_NARROWEST, min(columns(), _WIDEST))


def columns() -> int:
    """Return the width of the terminal, like `shutil.get_terminal_size`, whose module takes milliseconds to import."""
    if (given := os.environ.get("COLUMNS", "")).isdecimal() and int(given):
        return int(given)
    for stream in (sys.stdout, sys.stderr):
        try:
            if wide := os.get_terminal_size(stream.fileno()).columns:
                return wide
        except (OSError, ValueError):  # it is not a terminal
            continue
    return 80
