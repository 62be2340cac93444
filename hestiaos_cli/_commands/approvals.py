"""`hestiaos approvals`."""

from __future__ import annotations

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._numbers import WholeNumber
from hestiaos_cli._output import print_fields, remark
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

__all__ = ["command"]

_STATUSES = ["pending", "approved", "denied", "used", "expired"]
_LAST = 20


@click.group("approvals", cls=Group)
def command() -> None:
    """Approve or deny what a rule has blocked."""


@make_command("list")
@click.option(
    "--status",
    type=click.Choice(_STATUSES),
    metavar="STATUS",
    help="List only these: pending, approved, denied, used or expired.",
)
@click.option(
    "--last", type=WholeNumber(1, 1000), metavar="N", help=f"How many to list, the newest first; else {_LAST}."
)
@click.pass_obj
def _list(settings: Settings, status: str | None, last: int | None) -> None:
    """List pending and decided approvals."""
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._lists import for_people, print_list, which_have

    with open_client(settings, looks_only=True) as client, waiting():
        approvals = client.governance.approvals(status, last or _LAST)
    rows = for_people(settings, [each.to_dict() for each in approvals], "expires")
    asker = which_have(rows, "key", "agent", "session")
    names = ("approval_id", "status", "expires", "rule", *asker, "input")
    print_list(settings, rows, *names, empty="there are no approvals")


@make_command("approve")
@click.argument("approval_id", metavar="ID")
@click.pass_obj
def _approve(settings: Settings, approval_id: str) -> None:
    """Approve the call: it passes once, before the approval expires.

    The call that passes must be the same: the same text, under the same policy.
    """
    _decide(settings, approval_id, approve=True)


@make_command("deny")
@click.argument("approval_id", metavar="ID")
@click.pass_obj
def _deny(settings: Settings, approval_id: str) -> None:
    """Deny the call: it stays blocked until the approval expires."""
    _decide(settings, approval_id, approve=False)


def _decide(settings: Settings, approval_id: str, *, approve: bool) -> None:
    from hestiaos_cli._clients import open_client

    with open_client(settings, looks_only=True) as client:
        with waiting():
            governance = client.governance
            decided = governance.approve(approval_id) if approve else governance.deny(approval_id)
        print_fields(settings, decided.to_dict(), answer=decided.status)
        remark(settings, f"the same call passes once, until {decided.expires}" if approve else None)


for _each in (_list, _approve, _deny):
    command.add_command(_each)
