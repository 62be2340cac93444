"""Decides whether each match of a pattern has one of some literals, without regard to case.

The pattern's tree is made an automaton, whose assertions are left out and whose long repeats have no end, so that it
matches at least what the pattern does. It is walked together with one that knows how much of a literal it has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from itertools import count

from hestiaos_local.governance._syntax import Char, Either, Node, Place, Repeat, Seq, parse
from hestiaos_local.governance._writing import char_set

__all__ = ["match_without"]

_MOST = 12  # repeats that are walked through one by one


def match_without(pattern: str, literals: Sequence[str], *, fold: Callable[[str], str] = str.casefold) -> str | None:
    """A text that the pattern may match and that has none of the literals; `None` if there is none.

    `fold` is what is done with the text before the literals are looked for.
    """
    steps = _automaton(parse(pattern))
    given = tuple(literals)
    seen = {(0, "")}
    waiting = [(0, "", "")]  # a state, what may be the beginning of a literal, and the text up to there
    for state, begun, text in waiting:
        if state == _END:
            return text
        for characters, after in steps.get(state, ()):
            for character in ("",) if characters is None else _kinds(characters, given):
                rest = _followed(begun + fold(character), given)
                if rest is not None and (after, rest) not in seen:
                    seen.add((after, rest))
                    waiting.append((after, rest, text + character))
    return None


@cache
def _followed(text: str, literals: tuple[str, ...]) -> str | None:
    """The end of a text that may be the beginning of a literal; `None` where a literal is in the text."""
    if any(literal in text for literal in literals):
        return None
    ends = (text[place:] for place in range(len(text)))
    return next((end for end in ends if any(literal.startswith(end) for literal in literals)), "")


@cache
def _kinds(characters: tuple[tuple[int, int], ...], literals: tuple[str, ...]) -> tuple[str, ...]:
    """Of these characters those that could be of a literal, and one of the others."""
    relevant = _relevant("".join(literals))
    found = [chr(code) for low, high in characters for code in relevant if low <= code <= high]
    others = (code for low, high in characters for code in range(low, high + 1) if code not in relevant)
    return (*found, *(chr(code) for code in [next(others, -1)] if code >= 0))


@cache
def _relevant(letters: str) -> Collection[int]:
    """The characters that are these when their case is folded."""
    return sorted({*map(ord, letters), *(code for code, folded in _folded().items() if set(folded) & set(letters))})


@cache
def _folded() -> Mapping[int, str]:
    return {code: folded for code in range(0x110000) if (folded := chr(code).casefold()) != chr(code)}


_END = -1
_Steps = dict[int, list[tuple[tuple[tuple[int, int], ...] | None, int]]]


def _automaton(node: Node) -> _Steps:
    """The steps from each state: the characters that make it, `None` for a step without one, and the next state."""
    steps: _Steps = {}
    states = count(1)

    def step(start: int, characters: tuple[tuple[int, int], ...] | None, end: int) -> int:
        steps.setdefault(start, []).append((characters, end))
        return end

    def add(node: Node, start: int) -> int:
        """The state after a match of the node from `start` on."""
        match node:
            case Char(source, flags):
                return step(start, tuple(char_set(source, flags)), next(states))
            case Place():
                return start
            case Seq(nodes):
                for each in nodes:
                    start = add(each, start)
                return start
            case Either(nodes):
                end = next(states)
                for each in nodes:
                    step(add(each, start), None, end)
                return end
            case Repeat(inner, least, most, _):
                for _ in range(min(least, _MOST)):
                    start = add(inner, start)
                end = next(states)
                if most <= _MOST:
                    for _ in range(int(most) - least):
                        step(start, None, end)
                        start = add(inner, start)
                else:
                    start = step(start, None, next(states))  # its own, to come back to
                    step(add(inner, start), None, start)
                return step(start, None, end)

    step(add(node, 0), None, _END)
    return steps
