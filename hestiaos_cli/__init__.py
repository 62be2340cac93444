"""The command line: `hestiaos run`, `trace`, `health` and `serve`."""

from hestiaos_cli.app import main

__all__ = ["main"]
