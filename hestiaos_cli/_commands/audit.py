"""`hestiaos audit`."""

from __future__ import annotations

import sys

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._numbers import WholeNumber
from hestiaos_cli._options import CONNECTION
from hestiaos_cli._output import print_fields, print_text
from hestiaos_cli._settings import Settings
from hestiaos_cli._stores import Place, named_store
from hestiaos_cli._terminal import is_terminal, visible
from hestiaos_cli._waiting import waiting

__all__ = ["command"]

_STORE = click.option("--store", type=named_store, metavar="FILE|URL", help="Read this store, without a server.")


@click.group("audit", cls=Group)
def command() -> None:
    """Verify and export what was decided."""


@make_command("verify")
@_STORE
@click.option("--known", metavar="HEAD", help="A head that was printed before, which must still be in the audit.")
@click.pass_context
def _verify(context: click.Context, store: Place | None, known: str | None) -> None:
    """Check that no record of the audit was changed, removed or inserted.

    Keep the head that it prints in another place: records that were removed at the end are found by --known HEAD only.
    The exit status is 1 if something is wrong.
    """
    from hestiaos_cli._files import open_client_of
    from hestiaos_cli._replies import Fault, Verification

    settings: Settings = context.obj
    with open_client_of(settings, store=store) as client, waiting():
        report = client.governance.verify_audit(known)
    found = Verification.from_wire(report)
    faults = [Fault.from_wire(each) for each in found.faults]
    if settings.json or settings.field is not None:
        print_fields(settings, report)
    elif found.intact:
        print_text(f"intact; records: {found.records}, head: {found.head}")
    else:
        lines = [f"record {fault.number}: {fault.what}" for fault in faults]
        print_text("\n".join([*lines, f"and {found.more_faults} more"] if found.more_faults else lines))
    if not found.intact:
        context.exit(1)


@make_command("export", takes=CONNECTION | {"json"})
@_STORE
@click.option("--after", type=WholeNumber(0), default=0, metavar="N", help="Print only the records after this number.")
@click.pass_obj
def _export(settings: Settings, store: Place | None, after: int) -> None:
    """Print the audit as JSON lines, one per record, with its number and hash.

    A record's hash is the SHA-256 of the hash before it and of the record, as compact JSON.
    """
    from hestiaos_cli._files import audit_records, open_client_of
    from hestiaos_proto import json

    with open_client_of(settings, store=store) as client:
        for record in audit_records(client, after):
            line = json.dumps(record).decode()
            sys.stdout.write(f"{visible(line) if is_terminal(sys.stdout) else line}\n")
    sys.stdout.flush()


for _each in (_verify, _export):
    command.add_command(_each)
