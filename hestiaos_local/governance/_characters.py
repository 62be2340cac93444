"""The effect of each character on a text's normal form (Unicode 15, UAX #15 and #44)."""

from __future__ import annotations

import re
import unicodedata
from enum import Enum, auto
from functools import lru_cache

__all__ = [
    "BLANK",
    "BREAK",
    "BROKEN",
    "DROPPED",
    "LETTERS",
    "WHITE",
    "Kind",
    "compiled",
    "form",
    "kind",
]

# Each is the contents of a character class, except `WHITE`.

DROPPED = (
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Invisible characters: format characters, default ignorables, controls other than white space."""

BREAK = "\n\r\x85\u2028\u2029"
"""Line breaks."""

BLANK = "\t\x0b\x0c \xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
"""Other white space."""

WHITE = f"\t\n\x0b\x0c\r \x85\xa0\u1680{''.join(map(chr, range(0x2000, 0x200B)))}\u2028\u2029\u202f\u205f\u3000"
"""All white space, including line breaks."""

BROKEN = "\\\\\uff3c\ufe68"
"""Backslashes that continue a line."""

LETTERS = (
    "!-\\[\\]-~\xa7\xa9\xab\xae\xb0\xb7\xbb\xbf-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0391-\u03a1\u03a3-\u03a9\u03b1-\u03c9"
    "\u05d0-\u05ea\u05f0-\u05f4\u060c\u061b\u061f-\u064a\u0660-\u066f\u0671-\u0674\u0679-\u06d3\u06f0-\u06fe"
    "\u0904-\u0939\u093d-\u094c\u0950\u0960-\u097f\u0e01-\u0e32\u0e34-\u0e37\u0e40-\u0e47\u0e4f-\u0e5b\u1ea0-\u1ef9"
    "\u0401\u0410-\u044f\u0451\u2013\u2014\u2018-\u201e\u2022\u20ac\u2190-\u2193\u3001\u3002\u300c-\u300f\u3041-\u3096\u30a1-\u30fa"
    "\u4e00-\u9fff\uac00-\ud7a3"
)
"""Characters that are their own normal form and do not combine: visible ASCII except the backslash, and the letters and
punctuation of widely used scripts."""


class Kind(Enum):
    """How a character combines with the characters before it."""

    DROPPED = auto()
    BLANK = auto()
    BREAK = auto()
    SLASH = auto()  # a line break may follow
    MARK = auto()  # may be composed with the character before it
    OTHER = auto()


@lru_cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern on first use, since this takes milliseconds and many processes do not need it."""
    return re.compile(pattern)


_CLASSES = f"(?P<DROPPED>[{DROPPED}])|(?P<BLANK>[{BLANK}])|(?P<BREAK>[{BREAK}])|(?P<SLASH>[{BROKEN}])"


@lru_cache(maxsize=4096)
def kind(char: str) -> Kind:
    """Return the kind of a character."""
    match = compiled(_CLASSES).match(char)
    if match is not None and match.lastgroup is not None:
        return Kind[match.lastgroup]
    if char.isascii() or compiled(f"[{LETTERS}]").match(char):  # vowel signs are among these
        return Kind.OTHER
    first = unicodedata.normalize("NFKD", char)[0]
    # Vowels and final consonants of Hangul, and the vowel signs of Kirat Rai, are composed, but are not marks.
    if unicodedata.category(first)[0] == "M" or "\u1160" <= first <= "\u11ff" or 0x16D63 <= ord(first) <= 0x16D6A:
        return Kind.MARK
    return Kind.OTHER


@lru_cache(maxsize=4096)
def form(char: str) -> str:
    """Return the normal form of a single character. A line break is not a continuation of a line."""
    match kind(char):
        case Kind.DROPPED:
            return ""
        case Kind.BLANK:
            return " "
        case Kind.BREAK:
            return "\n"
        case _:
            return unicodedata.normalize("NFKC", char)
