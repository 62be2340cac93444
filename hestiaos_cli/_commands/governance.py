"""`hestiaos governance`."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._input import parse_json
from hestiaos_cli._output import print_fields
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

if TYPE_CHECKING:
    from hestiaos_cli._replies import Limit

__all__ = ["command"]

_TYPE = re.compile(r"[A-Z][A-Z0-9_]*")  # as `operations.explain` has it


@click.group("governance", cls=Group)
def command() -> None:
    """Ask how governance decides, and why."""


@make_command("explain")
@click.argument("command_type", metavar="TYPE")
@click.argument("command_input", metavar="[INPUT]...", nargs=-1)
@click.pass_obj
def _explain(settings: Settings, command_type: str, command_input: tuple[str, ...]) -> None:
    """Ask what governance would decide on a command.

    TYPE is the kind of command, such as RUN or WRITE. INPUT is a JSON object, or name=value pairs: 'hestiaos governance
    explain WRITE path=/tmp/test'. Nothing is executed.
    """
    from hestiaos_cli._clients import open_client

    if not command_input and not _TYPE.fullmatch(command_type):  # else a text would be allowed as an unknown type
        raise click.UsageError(
            "TYPE must be a kind of command in capitals, such as RUN, where no INPUT is given; "
            f"for a text: hestiaos governance explain RUN {shlex.quote(f'input={command_type}')}"
        )
    fields = _input(command_input)
    with open_client(settings) as client:
        with waiting():
            decision = client.governance.explain(command_type, fields)
        print_fields(settings, decision)


@make_command("status")
@click.pass_obj
def _status(settings: Settings) -> None:
    """Show governance's drift and stability scores."""
    from hestiaos_cli._clients import open_client

    with open_client(settings) as client:
        with waiting():
            status = client.governance.status()
        print_fields(settings, status)


@make_command("limits")
@click.pass_obj
def _limits(settings: Settings) -> None:
    """Show the policy's limits, and what is used of them."""
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._lists import print_list
    from hestiaos_cli._replies import Limit, Limits

    with open_client(settings, looks_only=True) as client, waiting():
        result = client.governance.limits()
    limits = [Limit.from_wire(each) for each in Limits.from_wire(result).limits]
    if settings.json or settings.field is not None:
        print_fields(settings, result)
        return
    rows = [_use(limit, use) for limit in limits for use in limit.used or [{}]]
    print_list(settings, rows, "limit", "per", "of", "requests", "tokens", "window", empty="the policy has no limits")


def _use(limit: Limit, used: Any) -> dict[str, Any]:
    """Format the use of a limit: `3/60`, or `-` for what it does not count."""
    from hestiaos_cli._replies import Use

    use = Use.from_wire(used)
    return {
        "limit": limit.name,
        "per": limit.per,
        "of": use.subject or None,
        "window": f"{limit.window:g} s",
        "requests": None if limit.requests is None else f"{use.requests or 0}/{limit.requests}",
        "tokens": None if limit.tokens is None else f"{use.tokens or 0}/{limit.tokens}",
    }


@make_command("trace")
@click.argument("command_id", metavar="ID")
@click.pass_obj
def _trace(settings: Settings, command_id: str) -> None:
    """Retrieve a command's trace, with the command itself."""
    from hestiaos_cli._clients import open_client
    from hestiaos_proto import NotFound

    with open_client(settings) as client:
        with waiting():
            trace = client.governance.trace(command_id)
        if trace is None:
            raise NotFound(f"there is no trace '{command_id}'")
        print_fields(settings, trace)


def _input(words: tuple[str, ...]) -> dict[str, Any]:
    """Parse a JSON object, or pairs. Raises `UsageError`."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        fields: dict[str, Any] = parse_json(words[0], "the input")
        return fields
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise click.UsageError(f"INPUT must be a JSON object or name=value pairs, not '{name}'")
    return {name: value for name, _, value in pairs}


for each in (_explain, _status, _limits, _trace):
    command.add_command(each)
