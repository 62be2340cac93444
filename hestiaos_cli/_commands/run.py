"""`hestiaos run`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from hestiaos_cli._command import TextArgument
from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure
from hestiaos_cli._input import read_text
from hestiaos_cli._output import TextOutput, print_fields, print_json, remark, rounded
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

if TYPE_CHECKING:
    from hestiaos import Client

__all__ = ["command"]


@make_command("run")
@click.argument("text", cls=TextArgument, metavar="[TEXT]")
@click.option("--stream", is_flag=True, help="Show the result as it comes.")
@click.option("--explain", is_flag=True, help="Ask what governance would decide; nothing is executed.")
@click.option("--session-id", metavar="ID", help="The session to run in.")
@click.option("--agent-id", metavar="ID", help="The agent to run as.")
@click.option("--mode-hint", type=click.Choice(["fast", "balanced", "deep"]), help="How much to think.")
@click.option(
    "--timeout-ms", type=click.IntRange(min=1), metavar="MS", help="How long the server may take; else 30,000."
)
@click.pass_obj
def command(settings: Settings, /, text: str | None, stream: bool, explain: bool, **options: Any) -> None:
    """Execute a text through the governance pipeline.

    TEXT is the argument or standard input; where both are given, the argument stands above what is piped in. The
    result alone goes to standard output.
    """
    from hestiaos_cli._clients import open_client

    text = read_text(settings, text, "the text", 'hestiaos run "create a report"')
    with open_client(settings) as client:
        if explain:
            with waiting():
                decision = client.governance.explain("RUN", {"input": text})
            print_fields(settings, decision)
        elif stream:
            _print_stream(settings, client, text, options)
        else:
            with waiting():
                result = client.run(text, **options)
            print_fields(settings, result.to_wire(), answer=result.result)
            remark(settings, *_facts(result.to_wire()))


def _facts(result: dict[str, Any]) -> list[str | None]:
    latency, trace_id = result.get("latency_ms"), result.get("trace_id")
    return [
        result.get("mode"),
        f"{rounded(latency)} ms" if isinstance(latency, int | float) else None,
        f"trace {trace_id}" if trace_id else None,
    ]


def _print_stream(settings: Settings, client: Client, text: str, options: dict[str, Any]) -> None:
    """Print a stream's text as it comes, or each event as JSON on a line of its own.

    An `error` event fails the command, once the stream is over.
    """
    from hestiaos_proto import Redactor

    server = settings.server
    redactor = Redactor(None if server is None else server.api_key)  # hides the key, which a server may repeat
    output = TextOutput()
    final: dict[str, Any] = {}
    failure: Failure | None = None
    with waiting() as stop, client.run_stream(text, **options) as events:
        for event in events:
            stop()
            if settings.json:
                wire = event.to_wire()
                print_json(redactor.value(wire) if event.type == "error" else wire, compact=True)
            elif settings.field is None and event.type in ("token", "delta"):
                output.write(str(event.data.get("text", "")))
            elif event.type == "tool_call":
                remark(settings, f"tool call {json.dumps(event.data, ensure_ascii=False)}")
            if event.type == "final":
                final = event.data
            elif event.type == "error":
                failure = _failure(redactor.value(event.data), event.trace_id)
    output.end()
    if failure is not None:
        raise failure
    if settings.field is not None:
        print_fields(settings, final)
    elif not settings.json:
        remark(settings, *_facts(final))


def _failure(data: dict[str, Any], trace_id: str) -> Failure:
    code = str(data.get("code") or "FAILED")
    shown = "" if code == "FAILED" else f"[{code}] "
    return Failure(
        f"{shown}{data.get('message') or 'the run failed'}",
        code=code,
        trace_id=str(data.get("trace_id") or trace_id) or None,
        details=data.get("details"),
        status=3 if code == "GOVERNANCE_BLOCK" else 1,
    )
