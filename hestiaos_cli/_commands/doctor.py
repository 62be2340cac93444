"""`hestiaos doctor`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure, one_line
from hestiaos_cli._options import SERVER
from hestiaos_cli._output import print_json, print_lines
from hestiaos_cli._settings import Settings
from hestiaos_cli._terminal import paint

if TYPE_CHECKING:
    from hestiaos_cli._walk import Step

__all__ = ["command"]


@make_command("doctor", takes=SERVER - {"retries"} | {"json"})
@click.pass_obj
def command(settings: Settings) -> None:
    """Check the connection to the server step by step.

    The proxy, the host name, TCP, TLS, HTTP, the key, the API's version and a streamed run: each with its time, until
    one fails. The run has a short harmless text; it shows whether something on the way buffers streams.
    """
    from hestiaos_cli._clients import open_client
    from hestiaos_cli._walk import walk

    steps: list[Step] = []
    with open_client(settings) as client:
        for step in walk(settings, client):
            steps.append(step)
            if not settings.json:
                _print(step)
    failed = next((step for step in steps if not step.works), None)
    if settings.json:
        print_json({"works": failed is None, "steps": [step.to_json() for step in steps]})
    if failed is not None:
        raise Failure(
            f"{failed.name}: {failed.detail}{f'; {failed.hint}' if failed.hint else ''}", code="DOCTOR_FAILED"
        )


def _print(step: Step) -> None:
    sign = paint("ok  ", "green", sys.stdout) if step.works else paint("FAIL", "red", sys.stdout)
    print_lines(f"{sign}  {step.name:<8} {step.seconds * 1000:>7.1f} ms  {one_line(step.detail)}")
