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
from hestiaos_cli._numbers import Number, WholeNumber
from hestiaos_cli._options import KEY
from hestiaos_cli._output import ECHO, remark
from hestiaos_cli._settings import Settings
from hestiaos_cli._stores import Place, named_store

__all__ = ["command"]


@make_command("serve", takes=KEY | {"json", "config"}, examples=("hestiaos serve", "hestiaos serve --port 9000 --json"))
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=WholeNumber(0, 65535),
    metavar="N",
    default=8000,
    show_default=True,
    help="The port; 0 chooses a free one.",
)
@click.option("--policy", type=click.Path(path_type=Path), help="A policy file instead of the built-in rules.")
@click.option(
    "--store", type=named_store, metavar="FILE|URL", help="The SQLite file or PostgreSQL database; else memory."
)
@click.option("--keys", type=click.Path(path_type=Path), help="A file of API keys; see 'hestiaos keys'.")
@click.option("--keep-days", type=Number(0), metavar="N", help="Delete what is older than N days.")
@click.option("--keep-count", type=WholeNumber(min=0), metavar="N", help="Keep the newest N of each kind.")
@click.option("--keep-bytes", type=WholeNumber(min=0), metavar="N", help="Keep the newest N bytes of each kind.")
@click.option(
    "--keep",
    type=click.Choice(["text", "hash"]),
    default="text",
    show_default=True,
    help="Whether traces keep texts or their hashes.",
)
@click.option("--model-url", metavar="URL", help="The OpenAI-compatible model server to use.")
@click.option("--model", metavar="NAME", help="The model of requests that name none; else the first.")
@click.option("--model-key-env", metavar="VAR", help="The environment variable with the model server's key.")
@click.option(
    "--token-delay",
    type=Number(0),
    default=0.02,
    show_default=True,
    help="Seconds between tokens of the echo.",
)
@click.option(
    "--allow-origin",
    "allow_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Allow requests from this web origin (CORS).",
)
@click.option("--heartbeat", type=Number(0.01), default=15.0, show_default=True, help="Seconds between heartbeats.")
@click.option("--quiet", is_flag=True, help="Do not log the requests.")
@click.pass_obj
def command(
    settings: Settings,
    /,
    policy: Path | None,
    store: Place | None,
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

    Without --model-url, or models in its configuration, it echoes its input. Each request is logged on standard error,
    with the decision. A --host that other machines can reach needs --api-key (or $HESTIAOS_API_KEY), which every
    request must then send, or --keys, a file of keys with roles. --keep-days, --keep-count and --keep-bytes bound each
    kind of data: traces, sessions and results kept for repeats. SIGINT (Ctrl-C) and SIGTERM stop it: open streams get
    an error, the store is closed, the exit status is 0. A second signal stops it at once. On SIGHUP it reads the
    policy, the keys, and its configuration's models and agents again; if one has a mistake, the old ones stay in use.
    """
    import anyio

    from hestiaos_cli._request_log import json_line, text_line
    from hestiaos_cli._served_files import ServedFiles
    from hestiaos_cli._server import hide_argument, key_from_stdin
    from hestiaos_local import Platform, Retention, Store
    from hestiaos_local import serve as serve_platform

    if keys is not None and settings.api_key is not None:
        raise click.UsageError("--keys and --api-key exclude each other: leave one of them out")
    if settings.api_key == "":  # of a variable that is not set: nobody would notice that no key is needed
        raise click.UsageError("--api-key is empty: give a key, or leave it out")
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
        platform.prepare()
        gc.freeze()  # otherwise each full collection spends tens of ms on objects that exist from the start
        anyio.run(partial(serve_platform, platform, handle_signals=True, **options))
    if not settings.json:
        tell("stopped")


def _say_where(settings: Settings, url: str, *, echoes: bool) -> None:
    tell(json.dumps({"url": url}) if settings.json else f"HestiaOS is served at {url}; Ctrl-C stops it")
    if echoes and not settings.json:
        remark(settings, ECHO)
