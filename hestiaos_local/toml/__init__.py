"""Reads TOML files, and reports all mistakes in one, each with its line."""

from __future__ import annotations

from hestiaos_local.toml._lines import KeyLines, Path
from hestiaos_local.toml._tables import ConfigurationError, Table, TomlFile, read_text

__all__ = [
    "ConfigurationError",
    "KeyLines",
    "Path",
    "Table",
    "TomlFile",
    "read_text",
]


def __dir__() -> list[str]:
    return sorted(__all__)
