"""Map positions between a text and its normal form, by splitting the text into units.

A *unit* is a piece of the text with its own normal form: a character with its marks and removed characters after it, or
a run of white space. The normal form of a text is the concatenation of those of its units. Removed characters before
the first unit do not belong to any.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

from hestiaos_local.governance._characters import (
    BLANK,
    BREAK,
    BROKEN,
    DROPPED,
    LETTERS,
    WHITE,
    Kind,
    compiled,
    form,
    kind,
)

__all__ = ["Block", "UnitMap", "blocks", "is_plain", "last_unit", "shortened"]

# Characters that do not combine, with single spaces and line breaks: each is a unit, and its own normal form.
_PLAIN = f"[{LETTERS}]+(?:[ \n][{LETTERS}]+)*"
_PLAIN_AFTER = f"[ \n]?{_PLAIN}"
_IS_PLAIN = re.compile(_PLAIN)
_IS_PLAIN_BETWEEN = re.compile(f"[ \n]?{_PLAIN}[ \n]?")
# Accessing attributes of an enumeration is slow.
_GOES_ON = (Kind.MARK, Kind.DROPPED)  # kinds of characters that continue a unit
_IS_WHITE = (Kind.BLANK, Kind.BREAK)
_OTHER = Kind.OTHER
_AT_ONCE = 64 * 1024  # characters; other threads can run between two matches

_CONTINUED = f"[{BROKEN}][{DROPPED}]*(?:\r[{DROPPED}]*\n|[{BREAK}])"
_WHITE = f"(?:(?:[{BLANK}{BREAK}]|{_CONTINUED})[{DROPPED}]*)+"


class Block(NamedTuple):
    """A unit or, if `unchanged`, several units of one character that are their own normal form."""

    norm: str
    start: int
    end: int
    unchanged: bool


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a text that begins with a unit."""
    plain, white = compiled(_PLAIN_AFTER), compiled(_WHITE)
    place = 0
    while place < len(text):
        if match := plain.match(text, place, place + _AT_ONCE):
            end = match.end()
            if end < len(text) and kind(text[end]) in _GOES_ON:  # the last unit has more than one character
                end -= 1
            if end > place:
                yield Block(text[place:end], place, end, unchanged=True)
                place = end
                continue
        if match := white.match(text, place):
            end = match.end()
            norm = _white(match[0])
        else:
            end = _end_of_unit(text, place)
            norm = form(text[place]) if end == place + 1 else _composed(text[place:end])
        if norm:
            yield Block(norm, place, end, unchanged=False)
        place = end


def _white(run: str) -> str:
    """Return the normal form of a run of white space."""
    rest = compiled(_CONTINUED).sub("", run)
    if compiled(f"[{BREAK}]").search(rest):
        return "\n"
    return " " if compiled(f"[{BLANK}]").search(rest) else ""


def _composed(unit: str) -> str:
    """Return the normal form of a character with its marks."""
    return unicodedata.normalize("NFKC", "".join(char for char in unit if kind(char) is not Kind.DROPPED))


def _end_of_unit(text: str, place: int) -> int:
    """Return the end of a character with its marks, or of removed characters."""
    goes_on = (Kind.DROPPED,) if kind(text[place]) is Kind.DROPPED else _GOES_ON
    place += 1
    while place < len(text) and kind(text[place]) in goes_on:
        place += 1
    return place


def is_plain(text: str, start: int = 0) -> bool:
    """Return whether each character from `start` on is certainly a unit and its own normal form."""
    return _IS_PLAIN.fullmatch(text, start) is not None


def last_unit(text: str) -> tuple[int, bool]:
    """Return the beginning of the last unit, which more text may change, and whether all before it is unchanged.

    The text, which is not empty, begins with a unit.
    """
    place = len(text) - 1
    if 0 < place < _AT_ONCE and _IS_PLAIN_BETWEEN.fullmatch(text):
        return place, True
    found = kind(text[place])
    while place and found in _GOES_ON:
        place -= 1
        found = kind(text[place])
    if found is _OTHER:
        return place, False
    if found in _IS_WHITE:
        start = len(text.rstrip(WHITE))
        if not start or kind(text[start - 1]) is _OTHER:
            return start, False
    return _last_unit(text), False


def _last_unit(text: str) -> int:
    white = compiled(_WHITE)
    before = last = 0
    place = 0
    while place < len(text):
        match = white.match(text, place)
        before, last = last, place
        place = match.end() if match else _end_of_unit(text, place)
    # A backslash at the end may continue a line, and hence belong to the white space before it.
    ends_open = kind(text[last]) is Kind.SLASH and not any(kind(char) is Kind.MARK for char in text[last:])
    return before if ends_open and white.fullmatch(text, before, last) else last


def shortened(unit: str) -> str:
    """Return a short text that more text continues in the same way as this unit, which may be the last."""
    if any(kind(char) is Kind.MARK for char in unit):
        return "a"
    place = len(unit) - 1
    while place and kind(unit[place]) is Kind.DROPPED:
        place -= 1
    match kind(unit[place]):
        case Kind.BLANK | Kind.BREAK:
            return " "
        case Kind.SLASH:
            return (" " if place else "") + unit[place:]
        case _:
            return unit[0]


class UnitMap:
    """The positions of a text and of its normal form. The text begins and ends with a unit."""

    def __init__(self, text: str) -> None:
        self._norms: list[int] = []  # the beginning of each block in the normal form
        self._raws: list[int] = []  # its beginning in the text
        self._ends: list[int] = []  # its end in the text
        self._unchanged: list[bool] = []
        self._raw_length = len(text)
        self.length = 0  # of the normal form
        for norm, start, end, unchanged in blocks(text):
            self._norms.append(self.length)
            self._raws.append(start)
            self._ends.append(end)
            self._unchanged.append(unchanged)
            self.length += len(norm)

    def raw_start(self, place: int) -> int:
        """Return where the unit at this position of the normal form begins in the text. The end maps to the end."""
        if place >= self.length:
            return self._raw_length
        block = bisect_right(self._norms, place) - 1
        return self._raws[block] + (place - self._norms[block] if self._unchanged[block] else 0)

    def raw_end(self, place: int) -> int:
        """Return where the unit with the character before this position of the normal form ends in the text."""
        block = bisect_right(self._norms, place - 1) - 1
        return self._raws[block] + place - self._norms[block] if self._unchanged[block] else self._ends[block]

    def norm_start(self, raw: int) -> int:
        """Return the position in the normal form of the first unit that begins at or after this one in the text."""
        block = bisect_right(self._raws, raw) - 1
        if block < 0:
            return 0
        begin = self._norms[block]
        end = self._norms[block + 1] if block + 1 < len(self._norms) else self.length
        if self._unchanged[block]:
            return min(begin + raw - self._raws[block], end)
        return begin if self._raws[block] == raw else end
