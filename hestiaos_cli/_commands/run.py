"""`hestiaos run`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from hestiaos_cli._command import TextArgument
from hestiaos_cli._command import command as make_command
from hestiaos_cli._completion import agent_ids
from hestiaos_cli._input import read_text
from hestiaos_cli._numbers import WholeNumber
from hestiaos_cli._output import print_fields, remark, remark_echo, rounded
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

__all__ = ["command"]


@make_command(
    "run",
    examples=(
        'hestiaos run "create a report"',
        'git diff | hestiaos run "review it"',
        "hestiaos run hi --stream",
        "id=$(hestiaos run hi -q trace_id)",
    ),
)
@click.argument("text", cls=TextArgument, metavar="[TEXT]")
@click.option("--stream/--no-stream", help="Show the result as it arrives; else at its end.")
@click.option("--explain", is_flag=True, help="Ask what governance would decide; nothing is executed.")
@click.option("--session-id", metavar="ID", help="The session to run in.")
@click.option("--agent-id", metavar="ID", shell_complete=agent_ids, help="The agent to run as.")
@click.option(
    "--mode-hint", type=click.Choice(["fast", "balanced", "deep"]), help="How much reasoning effort to spend."
)
@click.option("--timeout-ms", type=WholeNumber(min=1), metavar="MS", help="How long the server may take; else 30,000.")
@click.pass_obj
def command(settings: Settings, /, text: str | None, stream: bool, explain: bool, **options: Any) -> None:
    """Execute a text through the governance pipeline.

    TEXT is the argument or standard input; if both are given, the argument comes first. Only the result goes to
    standard output.
    """
    from hestiaos_cli._clients import open_client

    text = read_text(settings, text, "the text", 'hestiaos run "create a report"')
    with open_client(settings) as client:
        if explain:
            with waiting():
                decision = client.governance.explain("RUN", {"input": text})
            print_fields(settings, decision)
        elif stream:
            from hestiaos_cli._streaming import PrintedStream

            PrintedStream(settings, _facts).print(client.run_stream(text, resume=bool(settings.retries), **options))
        else:
            with waiting():
                result = client.run(text, **options)
            print_fields(settings, result.to_wire(), answer=result.result)
            remark(settings, *_facts(result.to_wire()))
            remark_echo(settings)


def _facts(result: Mapping[str, Any]) -> list[str | None]:
    latency, trace_id = result.get("latency_ms"), result.get("trace_id")
    return [
        result.get("mode"),
        f"{rounded(latency)} ms" if isinstance(latency, int | float) else None,
        f"trace {trace_id}" if trace_id else None,
    ]
