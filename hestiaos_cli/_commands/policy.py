"""`hestiaos policy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hestiaos_cli._command import Group, TextArgument
from hestiaos_cli._command import command as make_command
from hestiaos_cli._completion import agent_ids
from hestiaos_cli._failures import one_line, tell
from hestiaos_cli._input import parse_json, read_text
from hestiaos_cli._options import OUTPUT, SERVER
from hestiaos_cli._output import print_fields, print_json, print_text
from hestiaos_cli._settings import Settings
from hestiaos_cli._stores import Place, named_store
from hestiaos_cli._terminal import visible
from hestiaos_cli._waiting import waiting

if TYPE_CHECKING:
    from hestiaos_local import Replayed

__all__ = ["command"]

_OF_FILES = OUTPUT | {"config"}
_FILE = click.argument("file", type=click.Path(path_type=Path), required=False)


@click.group("policy", cls=Group)
def command() -> None:
    """Check, test and explain policies."""


@make_command("check", takes=_OF_FILES)
@_FILE
@click.pass_context
def _check(context: click.Context, file: Path | None) -> None:
    """Report all mistakes in a policy file, each with its line.

    FILE is by default the configuration's. The exit status is 1 if something is wrong.
    """
    _tell(context, file, "{file} is right; rules: {rules}, limits: {limits}, tests that pass: {tests}")


@make_command("test", takes=_OF_FILES | SERVER)
@_FILE
@click.pass_context
def _test(context: click.Context, file: Path | None) -> None:
    """Run the tests in a policy file, and report which fail.

    FILE is by default the configuration's. They run in this process, or, with --base-url or another option of a server,
    on that server. The exit status is 1 if a test fails.
    """
    settings: Settings = context.obj
    if SERVER.isdisjoint(settings.given):
        _tell(context, file, "tests that pass: {tests}")
        return
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._files import policy_path, read_text_of
    from hestiaos_cli._replies import Tested

    path = policy_path(settings, file)
    with open_client(settings) as client, waiting():
        answer = client.governance.test_policy(read_text_of(path))
    Tested.from_wire(answer)
    report = {"file": str(path)} | answer
    _tell_report(context, report, "tests that pass: {tests}")


def _tell(context: click.Context, file: Path | None, fine: str) -> None:
    from hestiaos_cli._files import policy_path, read_policy

    settings: Settings = context.obj
    _, report = read_policy(policy_path(settings, file))
    _tell_report(context, report, fine)


def _tell_report(context: click.Context, report: dict[str, Any], fine: str) -> None:
    settings: Settings = context.obj
    wrong = [*report["mistakes"], *report["failures"]]
    if settings.json or settings.field is not None:
        print_fields(settings, report)
    else:
        print_text("\n".join(visible(str(each)) for each in wrong) if wrong else fine.format(**report))
    if wrong:
        context.exit(1)


@make_command("show")
@click.pass_obj
def _show(settings: Settings) -> None:
    """Print the policy in use; with -q hash, its SHA-256."""
    from hestiaos_cli._clients import open_client

    with open_client(settings, looks_only=True) as client:
        with waiting():
            policy = client.governance.policy()
        print_fields(settings, policy, answer=str(policy.get("text", "")))


@make_command("explain")
@click.argument("text", cls=TextArgument, metavar="[TEXT]")
@click.option("--policy", type=click.Path(path_type=Path), metavar="FILE", help="Use this policy, without a server.")
@click.option("--output", is_flag=True, help="TEXT is a model's output.")
@click.option("--tool", metavar="NAME", help="The tool that is called; TEXT has its arguments, a JSON object.")
@click.option("--command-type", default="RUN", show_default=True, help="The kind of command.")
@click.option("--agent", metavar="ID", shell_complete=agent_ids, help="Decide as for this agent.")
@click.option("--session", metavar="ID", help="Decide as for this session.")
@click.option("--key", metavar="NAME", help="Decide as for the API key of this name.")
@click.option("--model", metavar="NAME", help="Decide as for this model.")
@click.pass_obj
def _explain(
    settings: Settings, /, text: str | None, policy: Path | None, output: bool, tool: str | None, **facts: Any
) -> None:
    """Show what the policy decides on a text, by which rule, and why.

    TEXT is the argument or standard input. Nothing is executed. Also shown are the normalised forms in which patterns
    see the text, and what rules in shadow mode would do.
    """
    from hestiaos_cli._files import open_client_of

    text = read_text(settings, text, "the text", 'hestiaos policy explain "rm -rf /"')
    if tool is not None and output:
        raise click.UsageError("--output and --tool are two things: give one of them")
    subject: dict[str, Any] = {"output" if output else "input": text}
    if tool is not None:
        subject = {"tool": tool, "arguments": _arguments(text)}
    with open_client_of(settings, policy=policy) as client:
        with waiting():
            verdict = client.governance.judge(**subject, **facts)
        print_fields(settings, verdict)


@make_command("replay")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--store", type=named_store, metavar="FILE|URL", help="Read this store, without a server.")
@click.pass_obj
def _replay(settings: Settings, file: Path, store: Place | None) -> None:
    """Show which recorded decisions a policy file would change.

    It decides again, in this process, on what the audit has recorded: a server's, that of --local, or a store's.
    Nothing is executed. Decisions on texts that were kept as hashes or redacted are unknown.
    """
    from hestiaos_cli._files import open_client_of
    from hestiaos_cli._lists import print_list, which_have
    from hestiaos_cli._recorded import recorded_decisions
    from hestiaos_local import Policy, replay

    policy = Policy.load(file)
    total = unknown = 0
    rows = []
    with open_client_of(settings, store=store) as client, waiting():
        for each in replay(policy, recorded_decisions(client)):
            total += 1
            unknown += each.decision is None
            if each.changed:
                rows.append(_changed(each))
    if settings.json:
        print_json({"decisions": total, "unknown": unknown, "changed": rows})
        return
    limits = which_have(rows, "limit", "new_limit")
    print_list(settings, rows, *(name for name in _COLUMNS if "limit" not in name or name in limits), empty="")
    tell(one_line(f"decisions: {total}, changed: {len(rows)}, unknown: {unknown}"))


_COLUMNS = ("trace_id", "decision", "rule", "limit", "new_decision", "new_rule", "new_limit")


def _changed(replayed: Replayed) -> dict[str, str | None]:
    """Return a decision before and after, with the limit that refused it."""
    before = replayed.recorded
    old = (before.trace_id, before.decision, before.rule, before.admission.get("refused_by"))
    return dict(zip(_COLUMNS, (*old, replayed.decision, replayed.rule, replayed.refused_by), strict=True))


def _arguments(text: str) -> dict[str, Any]:
    value = parse_json(text, "the text of the tool's arguments")
    if not isinstance(value, dict):
        raise click.UsageError('the tool\'s arguments must be a JSON object, as in \'{"command": "ls"}\'')
    return value


for _each in (_check, _test, _explain, _show, _replay):
    command.add_command(_each)
