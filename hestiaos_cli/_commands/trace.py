"""`hestiaos trace`."""

from __future__ import annotations

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._output import print_fields
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

__all__ = ["command"]

_LAST = 20


@make_command("trace")
@click.argument("trace_id", metavar="ID|list")
@click.option("--last", type=click.IntRange(1), metavar="N", help=f"List so many, the newest first; else {_LAST}.")
@click.option(
    "--decision", type=click.Choice(["ALLOW", "THROTTLE", "BLOCK"], case_sensitive=False), help="List these only."
)
@click.pass_obj
def command(settings: Settings, trace_id: str, last: int | None, decision: str | None) -> None:
    """Retrieve a governance trace.

    It says what was decided on an execution, and why. 'hestiaos --local trace list' lists those that --local keeps.
    """
    if trace_id == "list":
        _list(settings, last or _LAST, decision)
        return
    if last is not None or decision is not None:
        raise click.UsageError("--last and --decision are for a list: hestiaos --local trace list")
    from hestiaos_cli._clients import open_client

    with open_client(settings) as client:
        with waiting():
            trace = client.trace(trace_id)
        print_fields(settings, trace.to_wire())


def _list(settings: Settings, last: int, decision: str | None) -> None:
    from datetime import UTC, datetime

    from hestiaos_cli._lists import check_local, print_list
    from hestiaos_cli._local_platform import existing_store

    check_local(settings, "traces", "trace list")
    with existing_store(settings) as store:
        traces = [] if store is None else store.traces(limit=last, decision=decision)
    rows = [
        {
            "trace_id": each.trace_id,
            "time": datetime.fromtimestamp(each.decided_at, UTC).isoformat(timespec="seconds"),
            "decision": each.decision,
            "reason": each.facts["trace"]["reason"],
            "outcome": None if each.outcome is None else each.outcome.status,
            "command_type": each.facts["command"]["command_type"],
            "input": each.facts["command"]["input"],
        }
        for each in traces
    ]
    print_list(settings, rows, "time", "decision", "outcome", "trace_id", "input", empty="no such trace is kept")
