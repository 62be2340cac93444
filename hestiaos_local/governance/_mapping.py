"""Normalises a text that comes in pieces, and knows which part of the text each part of the normal form comes from."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from enum import Enum, auto
from functools import lru_cache

from hestiaos_local.governance._normal import BLANK, BREAK, BROKEN, DROPPED

__all__ = ["StreamNormalizer"]

# Characters that are their own normal form and stand alone: visible ASCII but for the backslash, and the letters and
# punctuation of much used scripts; with single spaces and line breaks between them, and, after a character, one before.
_LETTERS = (
    "!-\\[\\]-~\xa7\xa9\xab\xae\xb0\xb7\xbb\xbf-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0391-\u03a1\u03a3-\u03a9\u03b1-\u03c9"
    "\u05d0-\u05ea\u05f0-\u05f4\u060c\u061b\u061f-\u064a\u0660-\u066f\u0671-\u0674\u0679-\u06d3\u06f0-\u06fe"
    "\u0904-\u0939\u093d-\u094c\u0950\u0960-\u097f\u0e01-\u0e32\u0e34-\u0e37\u0e40-\u0e47\u0e4f-\u0e5b\u1ea0-\u1ef9"
    "\u0401\u0410-\u044f\u0451\u2013\u2014\u2018-\u201e\u2022\u20ac\u2190-\u2193\u3001\u3002\u300c-\u300f\u3041-\u3096\u30a1-\u30fa"
    "\u4e00-\u9fff\uac00-\ud7a3"
)
_PLAIN = f"[{_LETTERS}]+(?:[ \n][{_LETTERS}]+)*"
_PLAIN_AFTER = f"[ \n]?{_PLAIN}"
_WHITE = re.compile(f"[{BLANK}]*([{BREAK}])?[{BLANK}{BREAK}]*")
_VISIBLE = frozenset(map(chr, range(0x21, 0x7F))) - {"\\"}
_CLASSES = re.compile(f"(?P<DROPPED>[{DROPPED}])|(?P<BLANK>[{BLANK}])|(?P<BREAK>[{BREAK}])|(?P<SLASH>[{BROKEN}])")


class _Kind(Enum):
    """What a character does to the characters before it."""

    DROPPED = auto()
    BLANK = auto()
    BREAK = auto()
    SLASH = auto()  # a line break may follow
    MARK = auto()  # it may be composed with what stands before it
    OTHER = auto()


@lru_cache(maxsize=4096)
def _kind(char: str) -> _Kind:
    match = _CLASSES.match(char)
    if match is not None and match.lastgroup is not None:
        return _Kind[match.lastgroup]
    if char.isascii():
        return _Kind.OTHER
    first = unicodedata.normalize("NFKD", char)[0]
    # Vowels and final consonants of Hangul, and the vowel signs of Kirat Rai, are composed and are no marks.
    if unicodedata.category(first)[0] == "M" or "\u1160" <= first <= "\u11ff" or 0x16D63 <= ord(first) <= 0x16D6A:
        return _Kind.MARK
    return _Kind.OTHER


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compiled when the first text comes in pieces: it takes milliseconds, which a process that judges none saves."""
    return re.compile(pattern)


class StreamNormalizer:
    """The same normal form as `normalized`, for every cutting of a text.

    A *unit* is a piece of the text with its normal form: a character with the marks on it and what is dropped after it,
    or a run of white space. The last unit is not known before the next one begins.
    """

    def __init__(self) -> None:
        self._plain, self._plain_after = _compiled(_PLAIN), _compiled(_PLAIN_AFTER)
        self.length = 0  # of the normal form that is known
        self._received = 0
        # Blocks of units; of an unchanged block each character is a unit of its own.
        self._norms: list[int] = []  # where each begins in the normal form
        self._raws: list[int] = []  # and in the text
        self._ends: list[int] = []  # where each ends in the text
        self._unchanged: list[bool] = []
        # The last unit.
        self._start = 0
        self._chars: list[str] = []  # a character and its marks; empty in a run of white space
        self._run = ""  # what the run becomes
        self._slash = -1  # where a backslash stands that may continue the line
        self._char = ""  # that backslash, or the newest white space
        self._after_return = False  # whether a line feed belongs to the line break that was dropped
        self._out: list[str] = []

    def receive_text(self, text: str) -> str:
        """Receive a piece of the text; what is newly known of the normal form."""
        place, base = 0, self._received
        self._received += len(text)
        while place < len(text):
            match = (self._plain_after if self._chars else self._plain).match(text, place)
            if match is None:
                place = self._receive_some(text, place, base)
                continue
            end = match.end() - 1
            before = text[place:end]
            if len(self._chars) == 1 and self._start == base + place - 1 and self._chars[0] in _VISIBLE:
                before = self._chars[0] + before  # one block, where it can be
            else:
                self._close(base + place)
                self._start = base + place
            self._add(before, self._start, base + end, unchanged=True)
            self._start, self._chars = base + end, [text[end]]
            place = end + 1
        return self._known()

    def end(self) -> str:
        """What is known of the normal form with the end of the text."""
        self._close(self._received)
        return self._known()

    def raw_start(self, place: int) -> int:
        """Where the unit begins in the text that has this place of the normal form."""
        if place >= self.length:
            return self._start
        block = bisect_right(self._norms, place) - 1
        return self._raws[block] + (place - self._norms[block] if self._unchanged[block] else 0)

    def raw_end(self, place: int) -> int:
        """Where the unit ends in the text that has the character before this place of the normal form."""
        block = bisect_right(self._norms, place - 1) - 1
        return self._raws[block] + place - self._norms[block] if self._unchanged[block] else self._ends[block]

    def norm_start(self, raw: int) -> int:
        """The place in the normal form of the first unit that begins there in the text, or after it."""
        block = bisect_right(self._raws, raw) - 1
        if block < 0:
            return self._norms[0] if self._norms else self.length
        begin = self._norms[block]
        end = self._norms[block + 1] if block + 1 < len(self._norms) else self.length
        if self._unchanged[block]:
            return min(begin + raw - self._raws[block], end)
        return begin if self._raws[block] == raw else end

    def is_unchanged_from(self, place: int) -> bool:
        """Whether all that is known from the character before this place on is as it is in the text."""
        if not self._unchanged or self._ends[-1] < self._start:  # what stands between is dropped
            return False
        return self._unchanged[-1] and (self._norms[-1] < place or self._norms[-1] == self._raws[-1] == 0)

    def forget(self, place: int) -> None:
        """Forget the blocks that end before this place of the normal form."""
        block = bisect_right(self._norms, place) - 1
        if block > 0:
            for each in (self._norms, self._raws, self._ends, self._unchanged):
                del each[:block]

    def _receive_some(self, text: str, place: int, base: int) -> int:
        """Receive white space, or one character that is not plain. Returns the place after it."""
        if self._slash < 0 and not self._after_return and (white := _WHITE.match(text, place)) and white[0]:
            if self._chars:
                self._close(base + place)
            self._char = white[0][-1]
            self._run = "\n" if white[1] else self._run or " "
            return white.end()
        self._receive(text[place], base + place)
        return place + 1

    def _receive(self, char: str, place: int) -> None:
        kind = _kind(char)
        if kind is _Kind.DROPPED:
            return
        if self._slash >= 0 and kind is _Kind.BREAK:
            self._slash, self._after_return = -1, char == "\r"
            return
        if self._slash >= 0:
            self._close_slash()
        if kind is _Kind.MARK and self._chars:
            self._chars.append(char)
        elif kind in (_Kind.OTHER, _Kind.MARK):
            self._close(place)
            self._start, self._chars = place, [char]
        else:
            if self._chars:
                self._close(place)
            self._white(kind, char, place)

    def _white(self, kind: _Kind, char: str, place: int) -> None:
        self._char = char
        if kind is _Kind.SLASH:
            self._slash = place
        elif kind is _Kind.BREAK and not (self._after_return and char == "\n"):
            self._run = "\n"
        elif kind is _Kind.BLANK:
            self._run = self._run or " "
        self._after_return = False

    def _close_slash(self) -> None:
        """The backslash continues no line: it is a character, and the run before it is over."""
        slash, self._slash = self._slash, -1
        self._close(slash)
        self._start, self._chars = slash, [self._char]

    def _close(self, place: int) -> None:
        """The last unit ends here."""
        if self._slash >= 0:
            self._close_slash()
        norm = unicodedata.normalize("NFKC", "".join(self._chars)) if self._chars else self._run
        first = self._chars[0] if self._chars else self._char
        self._add(norm, self._start, place, unchanged=place - self._start == 1 and norm == first)
        self._start, self._chars, self._run, self._after_return = place, [], "", False

    def _add(self, norm: str, start: int, end: int, *, unchanged: bool) -> None:
        if not norm:
            return
        self._out.append(norm)
        goes_on = unchanged and self._unchanged and self._unchanged[-1] and self._ends[-1] == start
        if goes_on:
            self._ends[-1] = end
        else:
            self._norms.append(self.length)
            self._raws.append(start)
            self._ends.append(end)
            self._unchanged.append(unchanged)
        self.length += len(norm)

    def _known(self) -> str:
        out = "".join(self._out)
        self._out.clear()
        return out
