"""Long texts where their beginning is enough."""

from __future__ import annotations

__all__ = ["shortened"]

_MOST = 1000  # characters


def shortened(text: str) -> str:
    """The beginning of a text, for a list whose response would have no bound otherwise."""
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"
