"""`hestiaos trace`."""

from __future__ import annotations

from typing import Any

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._numbers import WholeNumber
from hestiaos_cli._output import print_fields
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

__all__ = ["command"]

_LAST = 20


@make_command("trace", examples=("hestiaos trace list", "hestiaos trace list --decision block"))
@click.argument("trace_id", metavar="ID|list")
@click.option(
    "--last", type=WholeNumber(1, 1000), metavar="N", help=f"How many to list, the newest first; else {_LAST}."
)
@click.option(
    "--decision", type=click.Choice(["ALLOW", "THROTTLE", "BLOCK"], case_sensitive=False), help="List these only."
)
@click.option("--before", metavar="ID", help="List only traces that are older than this one.")
@click.pass_obj
def command(settings: Settings, trace_id: str, last: int | None, decision: str | None, before: str | None) -> None:
    """Retrieve a governance trace.

    It shows what was decided on an execution, and why. 'hestiaos trace list' lists the newest.
    """
    from hestiaos_cli._clients import open_client

    if trace_id != "list":
        for name, given in (("--last", last), ("--decision", decision), ("--before", before)):
            if given is not None:
                raise click.UsageError(f"{name} is for a list: hestiaos trace list")
        with open_client(settings) as client:
            with waiting():
                trace = client.trace(trace_id)
            print_fields(settings, trace.to_wire())
        return
    from hestiaos_cli._lists import for_people, print_list

    with open_client(settings, looks_only=True) as client, waiting():
        traces = client.governance.traces(last or _LAST, decision, before)
    rows = for_people(settings, [each.to_dict() for each in traces], "timestamp")
    if not settings.json and settings.field is None:
        rows = [row | {"decision": _with_outcome(row)} for row in rows]
    print_list(settings, rows, "timestamp", "decision", "trace_id", "input", empty="there is no such trace")


def _with_outcome(row: dict[str, Any]) -> Any:
    """Return the decision, and the outcome if the decision does not imply it."""
    decision, outcome = row.get("decision"), row.get("outcome")
    said = (None, "completed", "blocked") if decision == "BLOCK" else (None, "completed")
    return decision if outcome in said else f"{decision}, {outcome}"
