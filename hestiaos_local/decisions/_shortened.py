"""Shorten long texts in lists."""

from __future__ import annotations

__all__ = ["shortened"]

_MAX_LENGTH = 1000  # characters


def shortened(text: str) -> str:
    """Return the beginning of a long text, so that responses with lists stay small."""
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"
