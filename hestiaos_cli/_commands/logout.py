"""`hestiaos logout`."""

from __future__ import annotations

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._completion import profile_names
from hestiaos_cli._failures import Failure, one_line, tell
from hestiaos_cli._settings import Settings

__all__ = ["command"]


@make_command("logout", takes=frozenset())
@click.argument("name", metavar="[NAME]", required=False, shell_complete=profile_names)
@click.pass_obj
def command(settings: Settings, name: str | None) -> None:
    """Delete a profile and its key.

    Without NAME, the profile in use.
    """
    from hestiaos_cli._profiles import Profiles

    profiles = Profiles()
    name = name or profiles.current
    if name is None:
        raise Failure("there is no profile in use")
    profiles.remove(name)
    tell(one_line(f"the profile '{name}' is forgotten"))
