"""`hestiaos help`."""

from __future__ import annotations

import click

from hestiaos_cli._command import command as make_command

__all__ = ["command"]


@make_command("help", takes=frozenset())
@click.argument("words", metavar="[COMMAND|TOPIC]...", nargs=-1)
@click.pass_context
def command(context: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command, or of a topic.

    The topics are 'environment', the variables that are read, and 'models', how to put a model behind the embedded
    platform.
    """
    from hestiaos_cli._help_topics import TOPICS

    if len(words) == 1 and words[0] in TOPICS:
        formatter = context.make_formatter()
        TOPICS[words[0]](formatter)
        click.echo(formatter.getvalue(), nl=False)
        return
    from hestiaos_cli._app import app

    app.main([*words, "--help"], "hestiaos", standalone_mode=False)
