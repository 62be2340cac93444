"""`hestiaos config`."""

from __future__ import annotations

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure
from hestiaos_cli._help_topics import EXAMPLE
from hestiaos_cli._options import OUTPUT
from hestiaos_cli._output import print_fields, print_text, remark
from hestiaos_cli._settings import Settings

__all__ = ["command"]

_TAKES = OUTPUT | {"config"}
_BEGINNING = "# 'hestiaos help models' explains this example.\n\n" + "".join(
    f"# {line}".rstrip() + "\n" for line in EXAMPLE.splitlines()
)


@click.group("config", cls=Group, takes=_TAKES)
def command() -> None:
    """Show and edit the embedded platform's configuration.

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


@make_command("edit", takes=frozenset({"config"}))
@click.pass_obj
def _edit(settings: Settings) -> None:
    """Edit the file, and report the mistakes in it.

    The editor is that of $VISUAL, else of $EDITOR, else vi. Where there is no file yet, it begins with an example.
    """
    from hestiaos_cli._editing import edit
    from hestiaos_cli._local_platform import config_path, policy_of, show_config

    path = config_path(settings)
    is_new = not path.exists()
    if is_new:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(_BEGINNING, "utf-8")
    try:
        edit(path)
    finally:
        if is_new and (not path.exists() or path.read_bytes() == _BEGINNING.encode()):
            path.unlink(missing_ok=True)
            remark(settings, "nothing is configured")
    if path.exists():
        show_config(settings)
        policy_of(settings)


for each in (_path, _show, _edit):
    command.add_command(each)
