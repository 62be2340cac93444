"""Parse patterns in RE2's syntax into trees, to determine how long a match may be and what it begins with.

RE2 itself checks each pattern first, so this parser may accept patterns that RE2 refuses.
See https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from math import inf

from attrs import frozen

__all__ = ["Char", "Either", "Node", "Place", "Repeat", "Seq", "firsts", "longest", "parse", "shortest"]


@frozen
class Char:
    """One character. `source` is a literal, an escape or a class, `flags` those of `i` and `s` that are set."""

    source: str
    flags: str = ""


@frozen
class Place:
    """An assertion of zero width: `\\b`, `\\B`, `\\A` or `\\z`, and `^` or `$` of a line."""

    source: str


@frozen
class Seq:
    """A sequence."""

    nodes: tuple[Node, ...]


@frozen
class Either:
    """Alternatives, of which the first that leads to a match is used."""

    nodes: tuple[Node, ...]


@frozen
class Repeat:
    """A repetition, `least` to `most` times (may be `inf`), as often as possible or, if `lazy`, as rarely."""

    node: Node
    least: int
    most: float
    lazy: bool


Node = Char | Place | Seq | Either | Repeat

_ESCAPE = r"\\(?:[pP](?:\{[^}]*\}|[^{])|x(?:\{[0-9A-Fa-f]+\}|[0-9A-Fa-f]{2})|[0-7]{1,3}|[^0-7])"
_TOKEN = rf"""(?P<group>\((?:\?(?:P?<(?P<name>\w+)>|(?P<flags>[imsU]*(?:-[imsU]*)?)(?P<scope>[:)])))?)
    | (?P<repeat>(?:[*+?] | \{{\d+(?:,\d*)?\}})\??)
    | (?P<quoted>\\Q.*?(?:\\E|\Z))
    | (?P<end>\\E)
    | (?P<place>\\[bBAz] | [\^$])
    | (?P<char>\[\^?\]?(?:\[:\^?\w+:\] | {_ESCAPE} | [^\]\\])*\] | {_ESCAPE} | [^()|])
    | (?P<other>[)|])"""


@cache
def _tokens() -> re.Pattern[str]:
    """Compile the pattern of tokens on first use, since this takes milliseconds and many processes do not need it."""
    return re.compile(_TOKEN, re.VERBOSE | re.DOTALL)


def parse(pattern: str) -> Node:
    """Parse a pattern. Raises `ValueError` for invalid syntax, and for `\\C` (one byte)."""
    return _kept(pattern) if len(pattern) <= _SHORT else _Parser(pattern).parse()


_SHORT = 256  # characters; longer patterns are not cached, as trees are a hundred times as large


@lru_cache(maxsize=1024)
def _kept(pattern: str) -> Node:
    return _Parser(pattern).parse()


_DEEPEST = 100  # nested groups; RE2 allows 1,000, for which Python's stack is too small


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._tokens = _tokens()
        self._pattern = pattern
        self._place = 0
        self._depth = 0

    def parse(self) -> Node:
        node = self._either("")
        if self._place < len(self._pattern):
            raise ValueError("unmatched closing parenthesis")
        return node

    def _either(self, flags: str) -> Node:
        """Parse up to the end of the group or pattern, to which flags set inside it apply."""
        branches: list[Node] = []
        nodes: list[Node] = []
        while (token := self._tokens.match(self._pattern, self._place)) is not None and token[0] != ")":
            self._place = token.end()
            if token[0] == "|":
                branches.append(_seq(nodes))
                nodes = []
            elif token["group"] is not None:
                inner = _changed(flags, token["flags"] or "")
                if token["scope"] == ")":
                    flags = inner
                else:
                    nodes.append(self._group(inner))
            elif token["repeat"] is not None:
                if not nodes:
                    raise ValueError(f"nothing to repeat before {token[0]}")
                nodes[-1] = _repeat(nodes[-1], token[0], flags)
            else:
                nodes += _simple(token, flags)
        branches.append(_seq(nodes))
        return branches[0] if len(branches) == 1 else Either(tuple(branches))

    def _group(self, flags: str) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} nested groups")
        node = self._either(flags)
        self._depth -= 1
        if not self._pattern.startswith(")", self._place):
            raise ValueError("unclosed parenthesis")
        self._place += 1
        return node


def _simple(token: re.Match[str], flags: str) -> Iterator[Node]:
    kept = "".join(flag for flag in "is" if flag in flags)
    if token["quoted"] is not None:
        for char in token[0][2:].removesuffix("\\E"):
            yield Char(char, kept)
    elif token["place"] is not None:
        many = "m" in flags
        yield Place({"^": "(?m:^)" if many else r"\A", "$": "(?m:$)" if many else r"\z"}.get(token[0], token[0]))
    elif token["char"] is not None:
        if token[0] == r"\C":
            raise ValueError(r"\C matches a byte, but texts consist of characters")
        yield Char(token[0], kept)


def _changed(flags: str, change: str) -> str:
    on, _, off = change.partition("-")
    return "".join(sorted(set(flags + on) - set(off)))


def _repeat(node: Node, token: str, flags: str) -> Repeat:
    lazy = token.endswith("?") and len(token) > 1
    times = token[:-1] if lazy else token
    if times[0] == "{":
        low, comma, high = times[1:-1].partition(",")
        least, most = int(low), float(high) if high else inf if comma else float(low)
    else:
        least, most = {"*": (0, inf), "+": (1, inf), "?": (0, 1.0)}[times]
    return Repeat(node, least, most, lazy != ("U" in flags))


def _seq(nodes: list[Node]) -> Node:
    return nodes[0] if len(nodes) == 1 else Seq(tuple(nodes))


def longest(node: Node) -> float:
    """Return the maximum length of a match in characters, `inf` if it is unlimited."""
    match node:
        case Char():
            return 1
        case Place():
            return 0
        case Seq(nodes):
            return sum(map(longest, nodes))
        case Either(nodes):
            return max(map(longest, nodes))
        case Repeat(inner, _, most, _):
            return longest(inner) * most if longest(inner) and most else 0


def shortest(node: Node) -> int:
    """Return the minimum length of a match in characters."""
    match node:
        case Char():
            return 1
        case Place():
            return 0
        case Seq(nodes):
            return sum(map(shortest, nodes))
        case Either(nodes):
            return min(map(shortest, nodes))
        case Repeat(inner, least, _, _):
            return shortest(inner) * least


def firsts(node: Node) -> Iterator[Char]:
    """The characters with which a match may begin that is not empty."""
    match node:
        case Char():
            yield node
        case Place():
            return
        case Seq(nodes):
            for each in nodes:
                yield from firsts(each)
                if shortest(each):
                    return
        case Either(nodes):
            for each in nodes:
                yield from firsts(each)
        case Repeat(inner, _, most, _):
            if most:
                yield from firsts(inner)
