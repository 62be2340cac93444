"""The commands. What they use is imported inside them, so that `hestiaos --help` waits for none of it."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click

from hestiaos_cli._failures import FailingGroup
from hestiaos_cli._output import print_events, print_fields
from hestiaos_cli._settings import Settings, global_options

__all__ = ["main"]

_settings = click.make_pass_decorator(Settings, ensure=True)


def _version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from hestiaos import __version__

        click.echo(f"hestiaos {__version__}")
        context.exit()


@click.group(cls=FailingGroup, context_settings={"help_option_names": ["--help", "-h"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@global_options
def main() -> None:
    """Governed AI execution: run, trace and serve."""


@main.command()
@click.argument("text")
@click.option("--stream", is_flag=True, help="Show the result as it comes.")
@click.option("--session-id", help="The session to run in.")
@click.option("--agent-id", help="The agent to run as.")
@click.option("--mode-hint", type=click.Choice(["fast", "balanced", "deep"]), help="How much to think.")
@click.option("--timeout-ms", type=click.IntRange(min=1), help="How long the server may take; else 30,000.")
@global_options
@_settings
def run(settings: Settings, /, text: str, stream: bool, **options: Any) -> None:
    """Execute TEXT through the governance pipeline; '-' reads it from standard input."""
    if text == "-":
        if sys.stdin is None:
            raise ValueError("standard input is closed: give the text itself instead of '-'")
        text = sys.stdin.read()
    with settings.client() as client:
        if stream:
            with client.run_stream(text, **options) as events:
                print_events(events, as_json=settings.json, redactor=settings.redactor())
        else:
            print_fields(client.run(text, **options).to_wire(), as_json=settings.json)


@main.command()
@click.argument("trace_id", metavar="ID")
@global_options
@_settings
def trace(settings: Settings, trace_id: str) -> None:
    """Retrieve the governance trace with this ID."""
    with settings.client() as client:
        print_fields(client.trace(trace_id).to_wire(), as_json=settings.json)


@main.command()
@global_options
@_settings
def health(settings: Settings) -> None:
    """Check the server's health."""
    with settings.client() as client:
        print_fields(client.health().to_wire(), as_json=settings.json)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--policy", type=click.Path(path_type=Path), help="A policy file instead of the built-in rules.")
@click.option("--store", type=click.Path(path_type=Path), help="The SQLite file to keep everything in; else memory.")
@click.option("--token-delay", type=click.FloatRange(min=0), default=0.02, show_default=True, help="Seconds a token.")
@click.option("--allow-origin", "allow_origins", multiple=True, metavar="ORIGIN", help="Answer its web pages too.")
@click.option(
    "--heartbeat", type=click.FloatRange(min=0.01), default=15.0, show_default=True, help="Seconds between heartbeats."
)
@global_options
@_settings
def serve(settings: Settings, /, policy: Path | None, store: Path | None, **options: Any) -> None:
    """Serve the embedded platform over HTTP.

    Beyond this machine it is served only with --api-key (or $HESTIAOS_API_KEY), which every request then needs.
    """
    import anyio

    from hestiaos_local import Platform, Policy, Store
    from hestiaos_local import serve as serve_platform

    api_key = settings.key()
    with Platform(policy=Policy.load(policy) if policy else None, store=Store(store) if store else None) as platform:
        options |= {"api_key": api_key, "on_listening": _say_where, "handle_signals": True}
        anyio.run(partial(serve_platform, platform, **options))
    _say("stopped")


def _say_where(url: str) -> None:
    _say(f"HestiaOS is served at {url}; Ctrl-C stops it")


def _say(text: str) -> None:
    with suppress(OSError):  # a full disk under the log does not stop the server
        click.echo(text, err=True)
