"""`hestiaos system`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from hestiaos_cli._command import Command, Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._numbers import Number
from hestiaos_cli._output import print_fields, print_json, print_lines
from hestiaos_cli._settings import Settings
from hestiaos_cli._terminal import may_draw
from hestiaos_cli._waiting import waiting

if TYPE_CHECKING:
    from hestiaos import Client

__all__ = ["command"]

_CLEAR = "\x1b[H\x1b[J"  # to the top left, and all that follows


@click.group("system", cls=Group)
def command() -> None:
    """Show the server's state, configuration and measurements."""


def _shows(name: str, text: str, ask: Callable[[Client], Mapping[str, Any]]) -> Command:
    @make_command(name, help=text)
    @click.option(
        "--watch",
        type=Number(0.1),
        metavar="SECONDS",
        help="Repeat at this interval until Ctrl-C; with --json, one line each.",
    )
    @click.pass_obj
    def show(settings: Settings, watch: float | None) -> None:
        from hestiaos_cli._clients import open_client

        with open_client(settings) as client:
            with waiting():
                fields = ask(client)
            if watch is None:
                print_fields(settings, fields)
                return
            while True:
                _print_again(settings, fields)
                time.sleep(watch)
                fields = ask(client)

    return show


def _print_again(settings: Settings, fields: Mapping[str, Any]) -> None:
    if settings.json:
        print_json(fields, compact=True)
        return
    if may_draw(sys.stdout):
        sys.stdout.write(_CLEAR)
    print_fields(settings, fields)
    if not may_draw(sys.stdout) and settings.field is None:
        print_lines("")


for _each in (
    _shows("status", "Show the state of the server and its parts.", lambda client: client.system.status().to_wire()),
    _shows("config", "Show the server's configuration.", lambda client: client.system.config()),
    _shows("metrics", "Show the server's measurements.", lambda client: client.system.metrics().to_wire()),
):
    command.add_command(_each)
