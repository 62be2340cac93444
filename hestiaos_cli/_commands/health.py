"""`hestiaos health`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._numbers import Number
from hestiaos_cli._output import print_fields
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

if TYPE_CHECKING:
    from hestiaos import Client
    from hestiaos_proto import HealthResponse

__all__ = ["command"]

_PAUSE = 0.2  # seconds between two tries


@make_command("health")
@click.option(
    "--wait",
    type=Number(0, min_open=True),
    metavar="SECONDS",
    help="How long to wait for the server to be ready.",
)
@click.pass_obj
def command(settings: Settings, wait: float | None) -> None:
    """Check the server's health."""
    from hestiaos_cli._clients import open_client

    with open_client(settings) as client:
        with waiting():
            health = client.health() if wait is None else _health_within(client, wait)
        print_fields(settings, health.to_wire())


def _health_within(client: Client, seconds: float) -> HealthResponse:
    """Return the health of a server that may still be starting. Raises the error of the last attempt."""
    from hestiaos_proto import AuthenticationFailed, HestiaError

    until = time.monotonic() + seconds
    failed: HestiaError | None = None
    while failed is None or until - time.monotonic() >= _PAUSE:  # an attempt without time would hide why it failed
        try:
            return client.health(deadline=max(until - time.monotonic(), 0.001))
        except AuthenticationFailed:
            raise
        except HestiaError as error:
            failed = error
        time.sleep(min(_PAUSE, max(0.0, until - time.monotonic())))
    raise failed
