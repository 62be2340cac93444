"""`hestiaos store`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from hestiaos_cli._command import Group
from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure
from hestiaos_cli._options import OUTPUT
from hestiaos_cli._output import print_fields, print_text
from hestiaos_cli._settings import Settings
from hestiaos_cli._stores import Place, existing_place, named_store
from hestiaos_cli._terminal import may_draw

__all__ = ["command"]


@click.group("store", cls=Group, takes=OUTPUT)
def command() -> None:
    """Copy what a platform keeps."""


@make_command(
    "copy",
    takes=OUTPUT,
    examples=("hestiaos store copy a.db b.db",),
)
@click.argument("source", type=named_store, metavar="FROM")
@click.argument("target", type=named_store, metavar="TO")
@click.option("--replace", is_flag=True, help="Delete first what is in TO.")
@click.pass_obj
def _copy(settings: Settings, source: Place, target: Place, replace: bool) -> None:
    """Copy all that a store has into another: traces, sessions, secrets, approvals, counters and results.

    FROM and TO are a SQLite file, or postgresql://USER@HOST/DATABASE, each. FROM may be in use, and is copied as it is
    at one moment; no platform may use TO meanwhile. All of it is copied, or nothing. The audit of TO is proven by the
    heads of FROM's. A password is better in PGPASSWORD or ~/.pgpass than in a URL.
    """
    from hestiaos_local import StoreError, copy_store

    try:
        copied = copy_store(existing_place(source), target, replace=replace, on_progress=_progress())
    except StoreError as error:
        raise Failure(f"{error} with --replace" if "is not empty" in str(error) else str(error)) from error
    if settings.json or settings.field is not None:
        print_fields(settings, copied)
    else:
        print_text("\n".join(f"{table}: {rows}" for table, rows in copied.items()))


def _progress() -> Callable[[str, int], None]:
    """Return a function that shows the progress on a terminal."""
    if not may_draw(sys.stderr):
        return lambda table, rows: None

    def show(table: str, rows: int) -> None:
        sys.stderr.write(f"\r{table}: {rows}\x1b[K")
        sys.stderr.flush()

    return show


command.add_command(_copy)
