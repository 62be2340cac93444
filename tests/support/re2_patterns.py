"""Generated patterns, as RE2 and `re` both read them."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["PATTERNS"]

_ATOMS = st.sampled_from(
    [
        *("a", "b", "c", "e", "é", "r", "m", "k", " ", "-", ".", "[ab]", "[^a]", "[a-c]", "rm", "sec", "key="),
        *(r"\w", r"\W", r"\d", r"\s", r"\S", r"\n", r"\x41", r"\.", "(?s:.)"),
        *("(?i:k)", "(?i:[a-s])", r"(?i:\w)", r"(?i:\W)", r"(?i:[^\Wk])"),
    ]
)
_PLACES = st.sampled_from([r"\b", r"\B", "^", "$", "(?m:^)", "(?m:$)"])
_TIMES = st.sampled_from(["?", "{2}", "{0,3}", "{1,2}", "??", "{1,3}?"])


def _wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return (
        st.lists(inner, min_size=2, max_size=4).map("".join)
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})")
        | st.tuples(inner, _TIMES).map(lambda parts: f"(?:{parts[0]}){parts[1]}")
    )


PATTERNS = st.recursive(_ATOMS | _PLACES, _wider, max_leaves=8) | st.recursive(_ATOMS, _wider, max_leaves=6)
"""Patterns whose matches are bounded."""
