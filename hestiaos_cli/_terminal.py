"""Text for a terminal: colours, and never the control characters of quoted text."""

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
    """`text` with every control character but newline and tab as its JSON escape, so that a terminal obeys none."""
    return text.translate(_SHOWN)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads along."""
    return stream.isatty()


def may_draw(stream: TextIO) -> bool:
    """Whether lines can be drawn over, as a progress bar does."""
    return is_terminal(stream) and os.environ.get("TERM") != "dumb"


def set_color(choice: str | None) -> None:
    """Take the choice of `--color`: `"always"`, `"never"`, or `"auto"`."""
    global _color
    _color = {"always": True, "never": False}.get(choice or "")


def colored(stream: TextIO) -> bool:
    """Whether a stream gets colours: by --color, NO_COLOR, FORCE_COLOR, else where it is a terminal that has them."""
    if _color is not None:
        return _color
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return may_draw(stream)


def paint(text: str, color: str, stream: TextIO) -> str:
    """`text` in a colour, where the stream gets colours."""
    return f"\x1b[{_CODES[color]}m{text}\x1b[0m" if colored(stream) else text


def dim(text: str) -> str:
    """`text` as a remark on standard error."""
    return paint(text, "dim", sys.stderr)


def symbol(character: str, instead: str, stream: TextIO) -> str:
    """`character`, or its replacement if the stream's encoding does not have it."""
    try:
        character.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return instead
    return character


def width() -> int:
    """The number of columns that text for people may take."""
    return max(_NARROWEST, min(columns(), _WIDEST))


def columns() -> int:
    """How wide the terminal is: as `shutil.get_terminal_size`, whose module takes milliseconds to import."""
    if (given := os.environ.get("COLUMNS", "")).isdecimal() and int(given):
        return int(given)
    for stream in (sys.stdout, sys.stderr):
        try:
            if wide := os.get_terminal_size(stream.fileno()).columns:
                return wide
        except (OSError, ValueError):  # it is not a terminal
            continue
    return 80
