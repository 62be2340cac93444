"""The table of the commands, and how one is run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module

import click

from hestiaos_cli._command import Group
from hestiaos_cli._settings import Settings
from hestiaos_cli._standard_streams import OutputFailed

__all__ = ["COMMANDS", "app", "run"]

COMMANDS = {
    "Run": {
        "run": "Execute a text through the governance pipeline.",
        "chat": "Send a chat message, or hold a conversation.",
        "sessions": "Show and delete conversations.",
        "agents": "Have agents carry out tasks.",
        "batch": "Run each line of a file, and resume after an interruption.",
        "models": "List the available models.",
    },
    "Look into": {
        "trace": "Retrieve a governance trace.",
        "governance": "Ask how governance decides, and why.",
        "health": "Check the server's health.",
        "doctor": "Check the connection to the server step by step.",
        "system": "Show the server's state, configuration and measurements.",
    },
    "Govern": {
        "policy": "Check, test and explain policies.",
        "approvals": "Approve or deny what a rule has blocked.",
        "audit": "Verify and export what was decided.",
    },
    "Set up": {
        "serve": "Serve the embedded platform over HTTP.",
        "keys": "Make and revoke the API keys of a served platform.",
        "secrets": "Read and write secrets on the server.",
        "login": "Store a server and its key as a profile.",
        "logout": "Delete a profile and its key.",
        "profile": "Show and choose profiles.",
        "config": "Show and edit the embedded platform's configuration.",
        "local": "Show, export or clear what --local remembers.",
        "store": "Copy what a platform keeps.",
    },
    "More": {
        "api": "Send any request, for what has no command.",
        "completion": "Print the completion script of a shell.",
        "help": "Show the help of a command, or of a topic.",
    },
}
"""The first line of each command's help, so that the help of all needs none of their modules."""

_NAMES = [name for section in COMMANDS.values() for name in section]

_EPILOG = """Exit statuses: 0 done, 1 failure, 2 wrong usage. With --exit-codes or HESTIAOS_EXIT_CODES=1 also
3 blocked by governance, 4 not authenticated, 5 unreachable, 6 timed out, 7 stream cut. Ctrl-C and a closed pipe end
the process by their signal. 'hestiaos help environment' lists the variables that are read."""


class _App(Group):
    """The commands, each of which is imported when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every command, in the order of the table."""
        return _NAMES

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in _NAMES:
            return None
        found: click.Command = import_module(f"hestiaos_cli._commands.{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table."""
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl(list(section.items()))


def _version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from hestiaos_cli._version import version

        click.echo(f"hestiaos {version()}")
        context.exit()


@click.command("hestiaos", cls=_App, epilog=_EPILOG)
@click.option(
    "--version", "-V", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
def app() -> None:
    """Governed AI execution: run, trace and serve.

    Options may be given before the command or after it.
    """


def run(arguments: Sequence[str], *, on_command: Callable[[], object]) -> int:
    """Run the command line, and report a failure. Returns the exit status.

    `on_command` is called before the first thing is done that Ctrl-C must not end in the middle. Raises
    `OutputFailed` and `KeyboardInterrupt`.
    """
    if (instruction := os.environ.get("_HESTIAOS_COMPLETE")) is not None:
        from click.shell_completion import shell_complete

        return shell_complete(app, {}, "hestiaos", "_HESTIAOS_COMPLETE", instruction)
    settings = Settings(on_command)
    try:
        with app.make_context("hestiaos", list(arguments), obj=settings) as context:
            app.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except OutputFailed:
        raise
    except Exception as error:
        from hestiaos_cli._failures import report

        return report(error, settings, arguments)
    return 0
