"""Read TOML files, and report all mistakes with their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestiaos_local._lazy_names import lazy_names
from hestiaos_local.toml._tables import ConfigurationError, Table, TomlFile, read_text

if TYPE_CHECKING:
    from hestiaos_local.toml._lines import KeyLines, Path

__all__ = [
    "ConfigurationError",
    "KeyLines",
    "Path",
    "Table",
    "TomlFile",
    "read_text",
]

# Rarely needed for a file without mistakes, so imported on first use.
if not TYPE_CHECKING:  # hidden from type checkers, which would accept every name
    __getattr__ = lazy_names(
        __name__,
        {
            "hestiaos_local.toml._lines": ("KeyLines", "Path"),
        },
    )


def __dir__() -> list[str]:
    return sorted(__all__)
