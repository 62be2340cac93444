"""`hestiaos login`."""

from __future__ import annotations

import os
import sys
from typing import cast

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import one_line, tell
from hestiaos_cli._options import SERVER
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

__all__ = ["command"]


@make_command(
    "login",
    takes=SERVER - {"profile"},
    examples=(
        "hestiaos login work -u https://host",
        "pass hestia | hestiaos login -k -",
    ),
)
@click.argument("name", metavar="[NAME]", default="default")
@click.pass_obj
def command(settings: Settings, name: str) -> None:
    """Store a server and its key as a profile.

    The key is read from a prompt, or from standard input with '-k -'. It is tried, and stored in the system's keyring
    if there is one (pip install keyring), else in a file that only you can read. The profile is then used unless an
    option or the environment names another server.
    """
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._profiles import Profiles

    if settings.api_key is None and not os.environ.get("HESTIAOS_API_KEY") and _asks():
        from hestiaos_cli._prompt import ask_secret

        settings.api_key = ask_secret("API key: ")
    profiles = Profiles()
    with open_client(settings) as client, waiting():
        client.system.status()
    server = settings.server
    assert server is not None, "a client has one"
    profile = profiles.add(name, server.url, server.api_key)
    where = "the keyring" if profile.in_keyring else str(profiles.path)
    kept = f", its key in {where}" if server.api_key else ", without a key"
    tell(one_line(f"the profile '{name}' is kept{kept}: {server.url}"))


def _asks() -> bool:
    return cast("object", sys.stdin) is not None and sys.stdin.isatty()
