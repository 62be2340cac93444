"""Normalize a text. Rules are applied to both the text and its normal form (Unicode 15, UAX #15 and #44).

Invisible characters (format characters, default ignorables, controls other than white space) are removed, and so is a
backslash before a line break. A run of white space becomes a line break if it contains one, else a space. The rest is
converted to NFKC.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from hestiaos_local.governance._characters import (
    BLANK,
    BREAK,
    BROKEN,
    DROPPED,
    LETTERS,
    Kind,
    compiled,
    form,
    kind,
)

__all__ = ["normalized"]

_CHUNK = 256 * 1024  # characters; other threads can run between two chunks
# Where a text can be split: between letters, which do not combine, and inside a run of white space, whose parts are
# joined afterwards. A split after a continued line is safe in ASCII only, as some other characters normalize to white
# space and a mark.
_JOINT = "[0-9A-Za-z\u4e00-\u9fff](?=[0-9A-Za-z\u4e00-\u9fff])|[ \n](?=[ \n])"
_ASCII_JOINT = _JOINT + r"|\n(?=\\)"


def normalized(text: str) -> str:
    """Return the normal form of a text."""
    if len(text) <= _CHUNK:
        return _normalized(text)
    pieces: list[str] = []
    for piece in filter(None, map(_normalized, _chunks(text))):
        last, first = pieces[-1][-1:] if pieces else "", piece[0]
        if first in " \n" and last in (" ", "\n"):  # one run
            pieces[-1] = pieces[-1][:-1]
            piece = ("\n" if "\n" in (last, first) else " ") + piece[1:]
        pieces.append(piece)
    return "".join(pieces)


def _chunks(text: str) -> Iterator[str]:
    joints = compiled(_ASCII_JOINT if text.isascii() else _JOINT)
    start = 0
    while start < len(text):
        joint = joints.search(text, start + _CHUNK)
        end = len(text) if joint is None else joint.end()
        yield text[start:end]
        start = end


_ODD = f"[^{LETTERS} \n]"
_ODD_ASCII = re.compile(r"[^!-\[\]-~ \n]")
_MANY = 64  # more characters are replaced in one pass instead of one after the other
_SOME = 8  # more are replaced in one pass if they are independent of each other

_CONTINUED = f"[{BROKEN}](?:\r\n|[{BREAK}])"
_BLANKS = re.compile("  +")
_AFTER_BREAK = re.compile("\n[ \n]+")


def _normalized(text: str) -> str:
    found = (_ODD_ASCII if text.isascii() else compiled(_ODD)).findall(text)
    if not found:
        return _folded(text)
    odd = frozenset(found)
    if len(odd) > _MANY:
        return _normalized_whole(text)
    todo = _todo(odd)
    if todo.marked and todo.continued:
        return _normalized_whole(text)
    for char in todo.dropped:
        text = text.replace(char, "")
    if todo.continued and any(each in text for each in todo.continued):
        text = compiled(_CONTINUED).sub("", text)
    for char in todo.white:
        text = text.replace(char, form(char))
    text = _folded(text)
    if todo.marked:
        return unicodedata.normalize("NFKC", text)
    # Without a mark nothing is composed, and what is its own normal form has no character that another one replaces.
    if len(todo.changed) > _SOME:
        return "".join(map(form, text))
    for char in todo.changed:
        text = text.replace(char, form(char))
    return text


class _ToDo(NamedTuple):
    """What normalizing does to the characters of a text that are not letters."""

    marked: bool
    dropped: list[str]
    continued: list[str]
    white: list[str]
    changed: list[str]


@lru_cache(maxsize=256)
def _todo(odd: frozenset[str]) -> _ToDo:
    each = {of: [char for char in odd if kind(char) is of] for of in Kind}
    breaks = ["\n", *each[Kind.BREAK]]
    return _ToDo(
        marked=bool(each[Kind.MARK]),
        dropped=each[Kind.DROPPED],
        continued=[slash + after for slash in each[Kind.SLASH] for after in breaks],
        white=each[Kind.BLANK] + each[Kind.BREAK],
        changed=[char for char in each[Kind.SLASH] + each[Kind.OTHER] if form(char) != char],
    )


def _folded(text: str) -> str:
    """Replace each run of spaces and line feeds by a line feed or a space."""
    if "\n " in text or "\n\n" in text:
        text = _AFTER_BREAK.sub("\n", text)
    if "  " in text:
        text = _BLANKS.sub(" ", text)
    return text.replace(" \n", "\n") if " \n" in text else text


_NUL = "\0"  # marks a continued line, so that NFKC does not compose across it; NULs of the text are removed before
_ALL_BLANKS = f"\0[{BLANK}][{BLANK}\0]*|[{BLANK}][{BLANK}\0]+|[{BLANK.replace(' ', '')}]"
_ALL_BREAKS = f"[ \0][{BREAK}][{BREAK} \0]*|[{BREAK}][{BREAK} \0]+|[{BREAK[1:]}]"


def _normalized_whole(text: str) -> str:
    """As `_normalized`, for any text."""
    text = compiled(f"[{DROPPED}]+").sub("", text)
    text = compiled(_CONTINUED).sub(_NUL, text)
    text = compiled(_ALL_BLANKS).sub(" ", text)
    text = compiled(_ALL_BREAKS).sub("\n", text)
    return unicodedata.normalize("NFKC", text).replace(_NUL, "")
