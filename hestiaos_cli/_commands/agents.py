"""`hestiaos agents`."""

from __future__ import annotations

from typing import Any

import click

from hestiaos_cli._command import Group, TextArgument
from hestiaos_cli._command import command as make_command
from hestiaos_cli._completion import agent_ids
from hestiaos_cli._failures import BLOCKED, FAILED, Failure
from hestiaos_cli._input import parse_json, read_text
from hestiaos_cli._output import print_fields, remark, remark_echo
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

__all__ = ["command"]


@click.group("agents", cls=Group)
def command() -> None:
    """Have agents carry out tasks."""


@make_command("run")
@click.argument("agent_id", metavar="ID", shell_complete=agent_ids)
@click.argument("task", cls=TextArgument, metavar="[TASK]")
@click.option("--agent-config", metavar="JSON", help="An object that the agent is configured with.")
@click.pass_obj
def _run(settings: Settings, agent_id: str, task: str | None, agent_config: str | None) -> None:
    """Have the agent ID carry out a task.

    TASK is the argument or standard input; if both are given, the argument comes first.
    """
    from hestiaos_cli._clients import open_client

    task = read_text(settings, task, "the task", f'hestiaos agents run {agent_id} "analyze data"')
    config = _object("--agent-config", agent_config)
    with open_client(settings) as client, waiting():
        result = client.agents.run(agent_id, task, config=config)
    if result.status in ("FAILED", "BLOCKED"):
        raise Failure(
            f"the agent {agent_id} {result.status.lower()}: {result.error or 'it did not say why'}"
            + (f"; see 'hestiaos trace {result.trace_id}'" if result.trace_id else ""),
            code="GOVERNANCE_BLOCK" if result.status == "BLOCKED" else "AGENT_FAILED",
            status=BLOCKED if result.status == "BLOCKED" else FAILED,
            trace_id=result.trace_id,
            details=result.to_wire(),
        )
    print_fields(settings, result.to_wire(), answer=result.result or "")
    remark(settings, result.status, f"trace {result.trace_id}" if result.trace_id else None)
    remark_echo(settings)


def _object(name: str, text: str | None) -> dict[str, Any] | None:
    """Parse a JSON object of the command line. Raises `UsageError`."""
    if text is None:
        return None
    value = parse_json(text, name)
    if not isinstance(value, dict):
        raise click.UsageError(f"{name} must be a JSON object, as in '{{\"depth\": 2}}'")
    return value


@make_command("list")
@click.pass_obj
def _list(settings: Settings) -> None:
    """List the configured agents; if there are none, any name may be used."""
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._lists import print_list

    with open_client(settings, looks_only=True) as client, waiting():
        agents = client.agents.list()
    empty = "no agents are configured: any may be named"
    print_list(settings, [each.to_dict() for each in agents], "agent_id", "model", "tools", "system", empty=empty)


for _each in (_run, _list):
    command.add_command(_each)
