"""The platform's logger."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

__all__ = ["logger"]


def logger() -> Logger:
    """The logger `hestiaos_local`. `logging` takes 2 ms to import, and a process that executes a text logs nothing."""
    import logging

    return logging.getLogger("hestiaos_local")
