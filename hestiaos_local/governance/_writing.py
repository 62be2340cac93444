"""Write the tree of a pattern in the syntax of RE2 or `re`, and create patterns for the beginnings of matches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import inf

from hestiaos_local.governance._syntax import Char, Either, Node, Place, Repeat, Seq, longest, parse

__all__ = ["MOST", "beginnings", "char_set", "first", "for_re", "for_re2"]

MOST = 128
"""The maximum of repetitions of more than one character in `re`, which would take too long on texts without a match."""

_LAST = 0x10FFFF
_ESCAPE_SETS = {
    "d": [(0x30, 0x39)],
    "s": [(0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20)],  # without U+000B, as in RE2
    "w": [(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)],
}
_CONTROLS = {"a": 7, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13}
_WORD = "[0-9A-Za-z_]"
_PLACES = {
    r"\z": r"\Z",
    r"\b": f"(?:(?<!{_WORD})(?={_WORD})|(?<={_WORD})(?!{_WORD}))",
    r"\B": f"(?:(?<!{_WORD})(?!{_WORD})|(?<={_WORD})(?={_WORD}))",
}

_Ranges = list[tuple[int, int]]


def for_re2(node: Node) -> str:
    """Write a pattern for RE2."""
    return _written(node, plain=False)


def for_re(node: Node) -> str:
    """Write a pattern for `re` that matches the same as in RE2, up to `MOST` repetitions.

    Raises `ValueError` for the classes that only RE2 has.
    """
    return _written(node, plain=True)


def beginnings(patterns: Sequence[str]) -> Node:
    """Return a node that matches the longest piece at the end of a text that could become a match of one of these."""
    return Seq((Either(tuple(_beginning(parse(pattern)) for pattern in patterns)), Place(r"\z")))


def first(patterns: Sequence[str]) -> Node:
    """Return a node that matches like one of these, or a piece up to and including `END` that could become a match.

    It may miss the empty piece.
    """
    nodes = [parse(pattern) for pattern in patterns]
    ends = [Seq((node, Char(r"\x00"))) for node in map(_begun, nodes) if node is not None]
    return Either((*nodes, *ends))


def _beginning(node: Node) -> Node:
    """Return a node for the beginnings of matches: if it matches at the end of a text, more text may make a match.

    It matches up to any position that needs one more character, or the character that a `\\b` considers.
    """
    match node:
        case Char() | Place():
            return Seq(())
        case Either(nodes):
            return Either(tuple(map(_beginning, nodes)))
        case Repeat(inner, _, most, _):
            return Seq((Repeat(inner, 0, max(0.0, most - 1), False), _beginning(inner)))
        case Seq(nodes) if len(nodes) > 1:  # in halves, so that the depth is logarithmic
            middle = len(nodes) // 2
            first, last = nodes[:middle], nodes[middle:]
            return Either((Seq((*first, _beginning(Seq(last)))), _beginning(Seq(first))))
        case Seq(nodes):
            return _beginning(nodes[0]) if nodes else Seq(())


def _begun(node: Node) -> Node | None:
    """Return the node of `_beginning`, excluding the empty text if that is easy, or `None` if nothing remains."""
    match node:
        case Char() | Place():
            return None
        case Either(nodes):
            branches = [_begun(each) for each in nodes]
        case Repeat(inner, _, most, _):
            branches = [_begun(inner)]
            if most > 1:
                branches.append(Seq((Repeat(inner, 1, most - 1, False), _beginning(inner))))
        case Seq(nodes) if len(nodes) > 1:
            middle = len(nodes) // 2
            first, last = nodes[:middle], nodes[middle:]
            rest = _beginning(Seq(last)) if longest(Seq(first)) else _begun(Seq(last))
            branches = [_begun(Seq(first)), None if rest is None else Seq((*first, rest))]
        case Seq(nodes):
            branches = [_begun(each) for each in nodes]
    return Either(tuple(left)) if (left := [each for each in branches if each is not None]) else None


def _written(node: Node, *, plain: bool) -> str:
    match node:
        case Char(source, flags):
            if plain:
                return _char_written(source, flags)
            return f"(?{flags}:{_literal(source)})" if flags else _literal(source)
        case Place(source):
            return _PLACES.get(source, source) if plain else source
        case Seq(nodes):
            return "".join(_written(each, plain=plain) for each in nodes)
        case Either(nodes):
            return f"(?:{'|'.join(_written(each, plain=plain) for each in nodes)})"
        case Repeat(inner, least, most, lazy):
            if plain and most == inf and not isinstance(inner, Char):
                most = float(max(least, MOST))
            most_written = "" if most == inf else int(most)
            times = {(0, inf): "*", (1, inf): "+", (0, 1): "?"}.get((least, most), f"{{{least},{most_written}}}")
            return f"(?:{_written(inner, plain=plain)}){times}{'?' if lazy else ''}"


@lru_cache(1024)  # patterns have few distinct characters
def _char_written(source: str, flags: str) -> str:
    return _set_written(char_set(source, flags))


def _literal(source: str) -> str:
    return "\\" + source if len(source) == 1 and source in r"\*+?{}[]()|^$" else source


# The characters that a class matches, for `re`, whose classes and case folding are wider than RE2's.


def char_set(source: str, flags: str) -> _Ranges:
    if source == ".":
        return [(0, _LAST)] if "s" in flags else _negated([(0x0A, 0x0A)])
    if source[0] != "[" or len(source) == 1:
        return _item_set(source, flags)
    inner = source[1:-1]
    negated = inner.startswith("^")
    ranges = list(_class_items(inner[negated:], flags))
    return _negated(ranges) if negated else ranges


_ITEM = re.compile(r"\[:\^?\w+:\]|\\(?:[pP](?:\{[^}]*\}|.)|x(?:\{\w+\}|\w\w)|[0-7]{1,3}|.)|.", re.DOTALL)


def _class_items(inner: str, flags: str) -> Iterator[tuple[int, int]]:
    items = _ITEM.findall(inner)
    place = 0
    while place < len(items):
        if len(items) > place + 2 and items[place + 1] == "-":
            [(low, _)], [(_, high)] = _item_set(items[place], ""), _item_set(items[place + 2], "")
            yield from _folded([(low, high)], flags)
            place += 3
        else:
            yield from _item_set(items[place], flags)
            place += 1


def _item_set(source: str, flags: str) -> _Ranges:
    if len(source) == 1:
        return _folded([(ord(source), ord(source))], flags)
    kind = source[1]
    if source[0] == "[" or kind in "pP":
        raise ValueError(f"{source} needs RE2")
    if kind.lower() in _ESCAPE_SETS:
        ranges = _folded(_ESCAPE_SETS[kind.lower()], flags)
        return ranges if kind.islower() else _negated(ranges)
    if kind == "x":
        code = int(source[2:].strip("{}"), 16)
    elif kind in "01234567":
        code = int(source[1:], 8)
    else:
        code = _CONTROLS.get(kind, ord(kind))
    return _folded([(code, code)], flags)


def _folded(ranges: _Ranges, flags: str) -> _Ranges:
    """Return the same ranges ignoring the case of ASCII letters, two of which have a third form."""
    if "i" not in flags:
        return ranges
    folded = list(ranges)
    for low, high in ranges:
        for upper in range(0x41, 0x5B):
            forms = [upper, upper + 0x20, *{0x4B: [0x212A], 0x53: [0x17F]}.get(upper, [])]
            if any(low <= form <= high for form in forms):
                folded += [(form, form) for form in forms]
    return folded


def _negated(ranges: Sequence[tuple[int, int]]) -> _Ranges:
    result = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            result.append((start, low - 1))
        start = max(start, high + 1)
    return [*result, (start, _LAST)] if start <= _LAST else result


def _set_written(ranges: _Ranges) -> str:
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return re.escape(chr(ranges[0][0]))
    merged = _merged(ranges)
    if merged[-1][1] < _LAST or len(merged) == 1:
        return f"[{_ranges_written(merged)}]"
    return f"[^{_ranges_written(_negated(merged))}]"  # `re` is slow to compile a class with many characters


def _ranges_written(ranges: _Ranges) -> str:
    return "".join(_escaped(low) if low == high else f"{_escaped(low)}-{_escaped(high)}" for low, high in ranges)


def _escaped(code: int) -> str:
    """Write a character in a class, in the shortest form, as `re` compiles short patterns faster."""
    character = chr(code)
    return character if character.isascii() and character.isalnum() else f"\\U{code:08x}"


def _merged(ranges: _Ranges) -> _Ranges:
    merged: _Ranges = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        else:
            merged.append((low, high))
    return merged
