"""`hestiaos trace`."""

from __future__ import annotations

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._output import print_fields
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

__all__ = ["command"]


@make_command("trace")
@click.argument("trace_id", metavar="ID")
@click.pass_obj
def command(settings: Settings, trace_id: str) -> None:
    """Retrieve a governance trace.

    It says what was decided on an execution, and why.
    """
    from hestiaos_cli._clients import open_client

    with open_client(settings) as client:
        with waiting():
            trace = client.trace(trace_id)
        print_fields(settings, trace.to_wire())
