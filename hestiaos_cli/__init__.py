"""The command line: `hestiaos run`, `trace`, `health` and `serve`."""

from hestiaos_cli._app import main

__all__ = ["main"]


def __dir__() -> list[str]:
    return sorted(__all__)
