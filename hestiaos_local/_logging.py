"""The platform's logger."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

__all__ = ["logger"]


def logger() -> Logger:
    """Return the logger `hestiaos_local`. Importing `logging` takes 2 ms, and executing one text does not need it."""
    import logging

    return logging.getLogger("hestiaos_local")
