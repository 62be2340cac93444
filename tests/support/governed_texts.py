"""Generated texts, and cuttings of them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

__all__ = ["CUTS", "TEXTS", "pieces"]

_ODD = (
    "ab c\n\t\r\\ \0\u200b\xad\u0301\u0338ｒé\xa8\ufdfa\u1100\u1161\u11a8\uff9e\uff3c\u3000\u2028\x1c\U0001f600\u212a"
)

TEXTS = st.lists(
    st.sampled_from([*_ODD, "rm", " -rf /", "secret", "ｓｅｃ", "  ", "\r\n", "\\\n", "key=", "12 34"])
    | st.text(max_size=3)
    | st.characters(blacklist_categories=["Cs"]),
    max_size=25,
).map("".join)
"""Texts with much that is normalised."""

CUTS = st.lists(st.integers(0, 60), max_size=8)
"""Where a text is cut."""


def pieces(text: str, cuts: list[int]) -> list[str]:
    """A text cut at these places, counted around its length."""
    places = [0, *sorted({place % (len(text) + 1) for place in cuts}), len(text)]
    return [text[start:stop] for start, stop in pairwise(places)]
