"""Texts out of JSON, which may hold one half of a surrogate pair (RFC 8259, section 8.2), as they can be encoded."""

from __future__ import annotations

__all__ = ["SurrogateJoiner", "encodable"]


def encodable(text: str) -> str:
    """`text` with each surrogate pair as its character, and each lone surrogate as U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class SurrogateJoiner:
    """Joins the two halves of a character that come in two pieces of a text."""

    def __init__(self) -> None:
        self._half = ""

    def send(self, text: str) -> str:
        """The text that is complete with this piece; the first half of a pair at its end waits for the second."""
        if text.isascii() and not self._half:
            return text
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return encodable(text.removesuffix(self._half))

    def end(self) -> str:
        """The rest at the end of the text."""
        half, self._half = self._half, ""
        return encodable(half)
