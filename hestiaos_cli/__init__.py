"""The command line, `hestiaos`: every operation of the SDK at the prompt.

`main` is the installed program. `_app` has the table of commands, each of which is a module of `_commands` that is
imported when it is called; what a command needs is imported where it is used, so that help, the version, completion and
mistakes wait for none of it.
"""

from hestiaos_cli._main import main

__all__ = ["main"]


def __dir__() -> list[str]:
    return sorted(__all__)
