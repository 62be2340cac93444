"""Read TOML files, and report all mistakes with their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

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


def __getattr__(name: str) -> object:
    if name not in ("KeyLines", "Path"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hestiaos_local.toml import _lines  # rarely needed for a file without mistakes (PEP 562)

    value = globals()[name] = getattr(_lines, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
