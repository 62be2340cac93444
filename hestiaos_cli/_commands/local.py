"""`hestiaos local`."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import cast

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure, one_line, tell
from hestiaos_cli._output import print_text
from hestiaos_cli._settings import Settings

__all__ = ["command"]

_TAKES = frozenset({"config"})


@click.group("local", cls=Group, takes=_TAKES)
def command() -> None:
    """Show, export or clear what --local remembers."""


@make_command("path", takes=_TAKES)
@click.pass_obj
def _path(settings: Settings) -> None:
    """Print the path of its file."""
    from hestiaos_cli._local_platform import store_path

    print_text(str(store_path(settings)))


@make_command("clear", takes=_TAKES)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def _clear(settings: Settings, yes: bool) -> None:
    """Delete all of it: traces, sessions, secrets."""
    from hestiaos_cli._local_platform import store_path

    path = store_path(settings)
    if not path.exists():
        tell(one_line(f"there is nothing: {path}"))
        return
    if not yes:
        if cast("object", sys.stdin) is None or not sys.stdin.isatty():
            raise click.UsageError("standard input is not a terminal, so nobody can confirm: add --yes")
        tell(one_line(f"This deletes {path} with all traces, sessions and secrets. Type 'yes' to continue:"))
        if sys.stdin.readline().strip() != "yes":
            raise Failure("nothing was deleted")
    for name in (f"{path.name}-wal", f"{path.name}-shm", path.name):
        path.with_name(name).unlink(missing_ok=True)
    tell(one_line(f"{path} is deleted"))


@make_command("export", takes=_TAKES)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def _export(settings: Settings, file: Path) -> None:
    """Copy it to another file, an SQLite database.

    The copy is complete even while other commands write. It contains the secrets; only you can read it.
    """
    from hestiaos_cli._local_platform import store_path

    path = store_path(settings)
    if not path.exists():
        raise Failure(f"there is nothing to export: {path}")
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise Failure(f"{file} exists already: choose another file, or delete it") from None
    import sqlite3

    try:
        with closing(sqlite3.connect(path)) as store, closing(sqlite3.connect(file)) as copy:
            store.backup(copy)
    except BaseException as error:
        file.unlink()
        if isinstance(error, sqlite3.Error):
            raise Failure(f"{path} cannot be copied: {error}") from error
        raise


for _each in (_path, _clear, _export):
    command.add_command(_each)
