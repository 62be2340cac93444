"""`hestiaos keys`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import one_line, tell
from hestiaos_cli._options import OUTPUT
from hestiaos_cli._output import print_fields
from hestiaos_cli._settings import Settings

__all__ = ["command"]

_ROLES = ("run", "read", "approve", "admin")

_file = click.option(
    "--keys",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The key file; else your own, which 'serve' does not read by itself.",
)


@click.group("keys", cls=Group, takes=OUTPUT)
def command() -> None:
    """Make and revoke the API keys of a served platform.

    'hestiaos serve --keys FILE' accepts the keys of the file. A key's roles say what it may do: run (runs, chats,
    agents, completions), read (traces, governance, the system), approve (approvals), admin (everything). The file has a
    hash of each key, never the key. A server reads it again on SIGHUP.
    """


@make_command("new", takes=OUTPUT)
@click.argument("name", metavar="NAME")
@click.option(
    "--role",
    "roles",
    type=click.Choice(_ROLES),
    multiple=True,
    help="A role of the key; else run and read. Repeatable.",
)
@_file
@click.pass_obj
def _new(settings: Settings, name: str, roles: tuple[Any, ...], file: Path | None) -> None:
    """Make a key, and print it. It is not shown again."""
    from hestiaos_local import add_key, remove_key

    path = _path(file)
    roles = roles or ("run", "read")
    key = add_key(path, name, roles)
    try:
        print_fields(settings, {"name": name, "key": key, "roles": [*roles], "file": str(path)}, answer=key)
    except BaseException:  # a key that was not shown is useless
        remove_key(path, name)
        raise
    tell(one_line(f"kept in {path} without the key itself: this is the only time that it is shown"))
    if file is None:
        tell(one_line(f"it is let in by: hestiaos serve --keys {shlex.quote(str(path))}"))


@make_command("list", takes=OUTPUT)
@_file
@click.pass_obj
def _list(settings: Settings, file: Path | None) -> None:
    """List the keys' names and roles."""
    from hestiaos_cli._lists import print_list
    from hestiaos_local import Keys

    path = _path(file)
    keys = Keys.load(path) if file is not None or path.exists() else Keys()
    rows = [{"name": key.name, "roles": [*key.roles], "sha256": key.sha256} for key in keys]
    print_list(settings, rows, "name", "roles", empty=f"there are no keys in {path}")


@make_command("revoke", takes=OUTPUT)
@click.argument("name", metavar="NAME")
@_file
@click.pass_obj
def _revoke(settings: Settings, name: str, file: Path | None) -> None:
    """Remove a key from the file."""
    from hestiaos_local import Keys, remove_key

    path = _path(file)
    remove_key(path, name)
    until = "SIGHUP" if Keys.load(path) else "it is stopped, as the file has no other key"
    tell(one_line(f"the key {name} is removed from {path}: a running server accepts it until {until}"))


def _path(file: Path | None) -> Path:
    """Return the named key file, or the user's."""
    if file is not None:
        return file
    from hestiaos_cli._places import config_directory

    return config_directory() / "keys.toml"


for each in (_new, _list, _revoke):
    command.add_command(each)
