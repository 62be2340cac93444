"""`hestiaos help`."""

from __future__ import annotations

import click

from hestiaos_cli._command import command as make_command

__all__ = ["command"]


@make_command("help", takes=frozenset())
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def command(context: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command."""
    from hestiaos_cli._app import app

    app.main([*words, "--help"], "hestiaos", standalone_mode=False)
