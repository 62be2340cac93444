"""`hestiaos profile`."""

from __future__ import annotations

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._completion import profile_names
from hestiaos_cli._options import OUTPUT
from hestiaos_cli._output import print_fields, print_json, print_lines, remark
from hestiaos_cli._settings import Settings
from hestiaos_cli._terminal import visible

__all__ = ["command"]


@click.group("profile", cls=Group, takes=OUTPUT - {"field"})
def command() -> None:
    """Show and choose profiles.

    'hestiaos login' makes one.
    """


@make_command("list", takes=OUTPUT - {"field"})
@click.pass_obj
def _list(settings: Settings) -> None:
    """List the profiles; the one in use has a star."""
    from hestiaos_cli._profiles import Profiles

    profiles = Profiles()
    if settings.json:
        print_json(
            [
                {"name": each.name, "base_url": each.base_url, "current": each.name == profiles.current}
                for each in profiles
            ]
        )
        return
    if profiles.empty:
        remark(settings, "there are no profiles: 'hestiaos login NAME -u URL' makes one")
    width = max((len(each.name) for each in profiles), default=0)
    for each in profiles:
        star = "*" if each.name == profiles.current else " "
        print_lines(visible(f"{star} {each.name:{width}}  {each.base_url}"))


@make_command("show", takes=OUTPUT | {"base_url", "api_key", "profile"})
@click.pass_obj
def _show(settings: Settings) -> None:
    """Show the server that commands ask, and whose key they send.

    Nothing is asked, and the key is not shown; 'hestiaos doctor' tries both.
    """
    from hestiaos_cli._server import server_of

    server = server_of(settings)
    shown = {"base_url": server.url, "base_url_from": server.url_source, "api_key_from": server.key_source}
    print_fields(settings, shown)


@make_command("use", takes=frozenset())
@click.argument("name", metavar="NAME", shell_complete=profile_names)
def _use(name: str) -> None:
    """Use a profile from now on."""
    from hestiaos_cli._profiles import Profiles

    Profiles().use(name)


for _each in (_list, _show, _use):
    command.add_command(_each)
