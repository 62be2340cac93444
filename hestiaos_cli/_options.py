"""The common options, which commands take in groups. Each may be before or after the command; the last one counts."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from hestiaos_cli._completion import files, profile_names
from hestiaos_cli._numbers import Number, WholeNumber
from hestiaos_cli._settings import Settings

__all__ = ["ALL", "CONNECTION", "KEY", "LOCAL", "OUTPUT", "SERVER", "common_options"]

OUTPUT = frozenset({"json", "field", "color", "exit_codes"})
KEY = frozenset({"api_key"})
SERVER = KEY | {"base_url", "profile", "timeout", "retries", "headers", "cacert", "insecure", "verbose"}
LOCAL = frozenset({"local", "config"})
CONNECTION = SERVER | LOCAL
ALL = CONNECTION | OUTPUT

_DECLARATIONS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "base_url": (
        ("--base-url", "-u"),
        {"metavar": "URL", "help": "API base URL; else $HESTIAOS_BASE_URL, else http://localhost:8000."},
    ),
    "api_key": (
        ("--api-key", "-k"),
        {"metavar": "KEY", "help": "API key for authentication; else $HESTIAOS_API_KEY. '-' reads it from a pipe."},
    ),
    "profile": (
        ("--profile",),
        {"metavar": "NAME", "help": "Use the server and key of this profile.", "shell_complete": profile_names},
    ),
    "local": (("--local",), {"is_flag": True, "help": "Use the embedded platform; no server is needed."}),
    "config": (
        ("--config",),
        {
            "metavar": "FILE",
            "help": "The embedded platform's configuration; see 'hestiaos config path'.",
            "shell_complete": files,
        },
    ),
    "timeout": (
        ("--timeout",),
        {"type": Number(0, min_open=True), "metavar": "SECONDS", "help": "For each wait; else 30."},
    ),
    "retries": (("--retries",), {"type": WholeNumber(0), "metavar": "N", "help": "Repeats of a failed request."}),
    "headers": (("--header", "-H"), {"multiple": True, "metavar": "LINE", "help": "Send 'Name: value' as well."}),
    "cacert": (
        ("--cacert",),
        {"metavar": "FILE", "help": "Trust the certificate authorities of this file.", "shell_complete": files},
    ),
    "insecure": (("--insecure",), {"is_flag": True, "help": "Do not verify the server's certificate."}),
    "verbose": (("--verbose", "-v"), {"count": True, "help": "Show each request on stderr; -vv its headers too."}),
    "json": (("--json", "-j"), {"is_flag": True, "help": "Output as raw JSON."}),
    "field": (("--field", "-q"), {"metavar": "NAME", "help": "Output this field alone, such as trace_id."}),
    "color": (("--color",), {"type": click.Choice(["auto", "always", "never"]), "help": "When to use colours."}),
    "exit_codes": (("--exit-codes",), {"is_flag": True, "help": "Distinct exit statuses; see 'hestiaos --help'."}),
}


def common_options(names: frozenset[str]) -> list[click.Option]:
    """Return the options of these names, for one command."""
    return [_CommonOption(name) for name in _DECLARATIONS if name in names]


class _CommonOption(click.Option):
    """An option that stores its value in the `Settings` instead of passing it to the command."""

    def __init__(self, name: str) -> None:
        declarations, attributes = _DECLARATIONS[name]
        super().__init__((*declarations, name), expose_value=False, callback=_keep, **attributes)


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    assert option.name is not None, "every option has a name"
    if context.get_parameter_source(option.name) is ParameterSource.DEFAULT:
        return
    settings = context.ensure_object(Settings)
    if option.name == "headers":
        value = settings.headers + value
    setattr(settings, option.name, value)
    settings.given[option.name] = option.opts[0]
    if option.name == "color":
        from hestiaos_cli._terminal import set_color

        set_color(value)
