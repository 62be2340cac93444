"""Shortens long texts for lists."""

from __future__ import annotations

__all__ = ["shortened"]

_MAX_LENGTH = 1000  # characters


def shortened(text: str) -> str:
    """The beginning of a text, for lists: it bounds the size of their responses."""
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"
