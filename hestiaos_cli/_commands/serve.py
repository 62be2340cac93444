"""`hestiaos serve`."""

from __future__ import annotations

import gc
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import tell
from hestiaos_cli._options import KEY
from hestiaos_cli._output import ECHO, remark
from hestiaos_cli._settings import Settings

__all__ = ["command"]


@make_command("serve", takes=KEY | {"json", "config"}, examples=("hestiaos serve", "hestiaos serve --port 9000 --json"))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option("--policy", type=click.Path(path_type=Path), help="A policy file instead of the built-in rules.")
@click.option("--store", type=click.Path(path_type=Path), help="The SQLite file to keep everything in; else memory.")
@click.option("--keys", type=click.Path(path_type=Path), help="A file of API keys; see 'hestiaos keys'.")
@click.option("--keep-days", type=click.FloatRange(min=0), metavar="N", help="Keep what is younger; else all.")
@click.option("--keep-count", type=click.IntRange(min=0), metavar="N", help="Keep the newest of each kind.")
@click.option("--keep-bytes", type=click.IntRange(min=0), metavar="N", help="Keep so much of each kind.")
@click.option(
    "--keep", type=click.Choice(["text", "hash"]), default="text", show_default=True, help="What traces have of texts."
)
@click.option("--model-url", metavar="URL", help="The OpenAI-compatible model server that does the work.")
@click.option("--model", metavar="NAME", help="Its model for those who name none; else its first one.")
@click.option("--model-key-env", metavar="VAR", help="The environment variable that holds its API key.")
@click.option("--token-delay", type=click.FloatRange(min=0), default=0.02, show_default=True, help="Seconds a token.")
@click.option("--allow-origin", "allow_origins", multiple=True, metavar="ORIGIN", help="Answer its web pages too.")
@click.option(
    "--heartbeat", type=click.FloatRange(min=0.01), default=15.0, show_default=True, help="Seconds between heartbeats."
)
@click.option("--quiet", is_flag=True, help="Do not log the requests.")
@click.pass_obj
def command(
    settings: Settings,
    /,
    policy: Path | None,
    store: Path | None,
    keys: Path | None,
    keep_days: float | None,
    keep_count: int | None,
    keep_bytes: int | None,
    keep: str,
    model_url: str | None,
    model: str | None,
    model_key_env: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Serve the embedded platform over HTTP.

    Without --model-url, and models in its configuration, it echoes. Each request is logged on standard error, with
    governance's decision. Beyond this machine it is served only with --api-key (or $HESTIAOS_API_KEY), which every
    request then needs, or with --keys, a file of keys each of which may do what its roles say. Of traces, sessions and
    results for repeats, of each, so much is kept as --keep-days, --keep-count and --keep-bytes say. SIGINT (Ctrl-C) and
    SIGTERM end it: streams that run get an error, the store is closed, the status is 0. A second signal ends it at
    once. SIGHUP has it read the policy, the keys, and its configuration's models and agents anew; with a mistake in one
    of them it goes on with what it has.
    """
    import anyio

    from hestiaos_cli._request_log import json_line, text_line
    from hestiaos_cli._served_files import ServedFiles
    from hestiaos_cli._server import hide_argument, key_from_stdin
    from hestiaos_local import Platform, Retention, Store
    from hestiaos_local import serve as serve_platform

    if keys is not None and settings.api_key is not None:
        raise click.UsageError("--keys and --api-key both say who may ask: leave one of them out")
    api_key = settings.api_key or (None if keys else os.environ.get("HESTIAOS_API_KEY")) or None
    if settings.api_key == "-":
        api_key = key_from_stdin(settings)
    elif settings.api_key:
        hide_argument(settings.api_key)
    files = ServedFiles(settings, policy, keys, (model_url, model, model_key_env))
    retention = Retention.of_days(keep_days, keep_count, keep_bytes)
    kept = {"store": Store(store) if store else None, "retention": retention, "keep": keep}
    arguments = {"policy": files.policy, **kept, **files.models}
    with Platform(**arguments) as platform:
        options["on_request"] = None if quiet else json_line if settings.json else text_line
        options |= {"api_key": api_key, "keys": files.keys, "reload": partial(files.reload, platform)}
        options["on_listening"] = partial(_say_where, settings, echoes=platform.echoes)
        gc.freeze()  # what is there from the start would be looked at again by each full collection, for tens of ms
        anyio.run(partial(serve_platform, platform, handle_signals=True, **options))
    if not settings.json:
        tell("stopped")


def _say_where(settings: Settings, url: str, *, echoes: bool) -> None:
    tell(json.dumps({"url": url}) if settings.json else f"HestiaOS is served at {url}; Ctrl-C stops it")
    if echoes and not settings.json:
        remark(settings, ECHO)
