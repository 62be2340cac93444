"""`hestiaos secrets`."""

from __future__ import annotations

import sys
from typing import cast

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._input import read_stdin
from hestiaos_cli._options import ALL, CONNECTION
from hestiaos_cli._output import print_fields, remark
from hestiaos_cli._prompt import ask_secret
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

__all__ = ["command"]


@click.group("secrets", cls=Group)
def command() -> None:
    """Read and write secrets on the server."""


@make_command("get", takes=ALL)
@click.argument("key", metavar="KEY")
@click.pass_obj
def _get(settings: Settings, key: str) -> None:
    """Print a secret's value."""
    from hestiaos_cli._clients import open_client

    with open_client(settings) as client:
        with waiting():
            value = client.secrets.get(key)
        print_fields(settings, {"value": value}, answer=value)


@make_command("set", takes=CONNECTION, examples=("pass mail | hestiaos secrets set mail",))
@click.argument("key", metavar="KEY")
@click.argument("typed", metavar="", nargs=-1)
@click.option("--provider", default="custom", show_default=True, help="Who issued the secret.")
@click.pass_obj
def _set(settings: Settings, key: str, typed: tuple[str, ...], provider: str) -> None:
    """Store a secret; the value is read from a prompt or a pipe.

    So it is neither in the shell's history nor in the list of processes.
    """
    from hestiaos_cli._clients import open_client

    if typed:
        raise click.UsageError("type the value at the prompt, or pipe it: an argument stays in the shell's history")
    if cast("object", sys.stdin) is not None and sys.stdin.isatty():
        value = ask_secret(f"Value of {key}: ")
    else:
        value = read_stdin(settings, "the secret's value")
        if not value:  # perhaps the program before the pipe has failed
            raise click.UsageError("the secret's value is empty: standard input had no data")
    with open_client(settings) as client, waiting():
        client.secrets.set(key, value, provider)
    remark(settings, f"the secret {key} is kept")


@make_command("delete", takes=CONNECTION)
@click.argument("key", metavar="KEY")
@click.pass_obj
def _delete(settings: Settings, key: str) -> None:
    """Delete a secret."""
    from hestiaos_cli._clients import open_client

    with open_client(settings) as client, waiting():
        client.secrets.delete(key)
    remark(settings, f"the secret {key} is deleted")


@make_command("list", takes=ALL)
@click.pass_obj
def _list(settings: Settings) -> None:
    """List the names of the secrets, without their values."""
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._lists import print_list

    with open_client(settings, looks_only=True) as client, waiting():
        keys = client.secrets.list()
    print_list(settings, [{"key": key} for key in keys], "key", empty="no secrets are kept")


for each in (_get, _set, _delete, _list):
    command.add_command(each)
