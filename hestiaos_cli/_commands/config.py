"""`hestiaos config`."""

from __future__ import annotations

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure
from hestiaos_cli._options import OUTPUT
from hestiaos_cli._output import print_fields, print_text
from hestiaos_cli._settings import Settings

__all__ = ["command"]

_TAKES = OUTPUT | {"config"}


@click.group("config", cls=Group, takes=_TAKES)
def command() -> None:
    """Show the embedded platform's configuration.

    '--local' and 'hestiaos serve' read the same file.
    """


@make_command("path", takes=frozenset({"config"}))
@click.pass_obj
def _path(settings: Settings) -> None:
    """Print the file's path."""
    from hestiaos_cli._local_platform import config_path

    print_text(str(config_path(settings)))


@make_command("show", takes=_TAKES)
@click.pass_obj
def _show(settings: Settings) -> None:
    """Show what is configured, or the mistakes in the file."""
    from hestiaos_cli._local_platform import config_path, show_config

    config = show_config(settings)
    if not config and not config_path(settings).exists():
        raise Failure(f"there is no configuration file yet: it would be {config_path(settings)}")
    print_fields(settings, config)


for each in (_path, _show):
    command.add_command(each)
