"""Make texts from JSON encodable, since they may contain lone surrogates (RFC 8259, section 8.2)."""

from __future__ import annotations

__all__ = ["SurrogateJoiner", "encodable"]


def encodable(text: str) -> str:
    """Replace each surrogate pair in `text` by its character, and each lone surrogate by U+FFFD."""
    try:
        text.encode()  # several times as fast
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class SurrogateJoiner:
    """Joins surrogate pairs that are split between two pieces of a text."""

    def __init__(self) -> None:
        self._half = ""

    def send(self, text: str) -> str:
        """Return the next text. A high surrogate at the end of a piece is held back until the next piece."""
        if text.isascii() and not self._half:
            return text
        text = self._half + text
        self._half = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        return encodable(text.removesuffix(self._half))

    def end(self) -> str:
        """Return the rest at the end of the text."""
        half, self._half = self._half, ""
        return encodable(half)
