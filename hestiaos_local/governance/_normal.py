"""Normalize a text. Rules are applied to both the text and its normal form (Unicode 15, UAX #15 and #44).

Invisible characters (format characters, default ignorables, controls other than white space) are removed, and so is a
backslash before a line break. A run of white space becomes a line break if it contains one, else a space. The rest is
converted to NFKC.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

__all__ = ["BLANK", "BREAK", "BROKEN", "DROPPED", "normalized"]

_DROPPED_NARROW = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_DROPPED_WIDE = (
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
DROPPED = _DROPPED_NARROW + _DROPPED_WIDE
"""Removed characters, as the contents of a character class."""

BREAK = "\n\r\x85\u2028\u2029"
"""Line breaks, as the contents of a character class."""

BLANK = "\t\x0b\x0c \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
"""Other white space, as the contents of a character class."""

BROKEN = "\\\\\uff3c\ufe68"
"""Backslashes that continue a line, as the contents of a character class."""

_CHUNK = 256 * 1024  # characters; other threads can run between two chunks
# Where a text can be split: between letters, which do not combine, and inside a run of white space, whose parts are
# joined afterwards. A split after a continued line is safe in ASCII only, as some other characters normalize to white
# space and a mark.
_JOINT = "[0-9A-Za-z\u4e00-\u9fff](?=[0-9A-Za-z\u4e00-\u9fff])|[ \n](?=[ \n])"
_ASCII_JOINT = _JOINT + r"|\n(?=\\)"

# Compiled on first use, since compiling takes milliseconds, which ASCII texts do not need.
_compiled = cache(re.compile)
_DROP = f"[{DROPPED}]+"
_CONTINUE = f"(?:[{BROKEN}](?:\r\n|[{BREAK}]))+"
_NUL = "\0"  # marks a continued line, so that NFKC does not compose across it; NULs of the text are removed before
_BLANKS = f"\0[{BLANK}][{BLANK}\0]*|[{BLANK}][{BLANK}\0]+|[{BLANK.replace(' ', '')}]"
_BREAKS = f"[ \0][{BREAK}][{BREAK} \0]*|[{BREAK}][{BREAK} \0]+|[{BREAK[1:]}]"


def normalized(text: str) -> str:
    """Return the normal form of a text, or the same object if it is already normal."""
    if len(text) <= _CHUNK:
        return _normalized(text)
    pieces: list[str] = []
    for piece in filter(None, map(_normalized, _chunks(text))):
        last, first = pieces[-1][-1:] if pieces else "", piece[0]
        if first in " \n" and last in (" ", "\n"):  # the two are parts of one run
            pieces[-1] = pieces[-1][:-1]
            piece = ("\n" if "\n" in (last, first) else " ") + piece[1:]
        pieces.append(piece)
    return "".join(pieces)


def _chunks(text: str) -> Iterator[str]:
    joints = _compiled(_ASCII_JOINT if text.isascii() else _JOINT)
    start = 0
    while start < len(text):
        joint = joints.search(text, start + _CHUNK)
        end = len(text) if joint is None else joint.end()
        yield text[start:end]
        start = end


def _normalized(text: str) -> str:
    if text.isascii():
        return _normalized_ascii(text.encode()).decode()
    if not _has_more_than_letters(text):
        return unicodedata.normalize("NFKC", text)
    text = _compiled(_DROP).sub("", text)
    text = _compiled(_CONTINUE).sub(_NUL, text)
    text = _compiled(_BLANKS).sub(" ", text)
    text = _compiled(_BREAKS).sub("\n", text)
    return unicodedata.normalize("NFKC", text).replace(_NUL, "")


# Two patterns, since `re` is several times slower for a class with characters above U+FFFF.
_NARROW = f"[{_DROPPED_NARROW}{BLANK.replace(' ', '')}{BREAK[1:]}{BROKEN}]"
_WIDE = f"[{_DROPPED_WIDE}]"


def _has_more_than_letters(text: str) -> bool:
    """Return whether normalizing may change a text. For most texts it does not, which this finds out quickly."""
    if _compiled(_NARROW).search(text) or "  " in text or " \n" in text or "\n " in text or "\n\n" in text:
        return True
    has_wide = len(text.encode("utf-16-le", "surrogatepass")) > 2 * len(text)
    return has_wide and _compiled(_WIDE).search(text) is not None


_ASCII_DROPPED = bytes([*range(0x09), *range(0x0E, 0x20), 0x7F])
_ASCII_SPACES = bytes.maketrans(b"\t\x0b\x0c\r", b"   \n")
_ASCII_CONTINUE = re.compile(rb"\\(?:\r\n|[\n\r])")
_ASCII_BLANKS = re.compile(rb" [ ]+")
_ASCII_BREAKS = re.compile(rb" ?\n[ \n]*")


def _normalized_ascii(data: bytes) -> bytes:
    """Normalize ASCII, several times as fast as `_normalized`."""
    data = data.translate(None, _ASCII_DROPPED)
    if b"\\" in data:
        data = _ASCII_CONTINUE.sub(b"", data)
    data = data.translate(_ASCII_SPACES)
    if b"  " in data:
        data = _ASCII_BLANKS.sub(b" ", data)
    if b" \n" in data or b"\n " in data or b"\n\n" in data:
        data = _ASCII_BREAKS.sub(b"\n", data)
    return data
