"""`hestiaos models`."""

from __future__ import annotations

from typing import Any

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure
from hestiaos_cli._settings import Settings
from hestiaos_cli._waiting import waiting

__all__ = ["command"]

_PATH = "/v1/models"


@make_command("models")
@click.pass_obj
def command(settings: Settings) -> None:
    """List the available models.

    They are those of the server, or, with --local, those of the configuration. An agent of the configuration names one
    of them; OpenAI's clients name one in each request to the server's /v1.
    """
    from hestiaos_cli._lists import print_list

    rows = _configured(settings) if settings.local else _served(settings)
    print_list(settings, rows, "id", empty="no model is configured: 'hestiaos help models' says how to name one")


def _configured(settings: Settings) -> list[dict[str, Any]]:
    from hestiaos_cli._local_platform import show_config
    from hestiaos_cli._server import server_of

    server_of(settings)
    return [{"id": model["name"]} | model for model in show_config(settings).get("models", ())]


def _served(settings: Settings) -> list[dict[str, Any]]:
    from hestiaos_cli._hints import failure_of_call
    from hestiaos_cli._raw_requests import open_http_client, raw_errors
    from hestiaos_proto import error_from_response, json

    with open_http_client(settings) as client, raw_errors(settings), waiting():
        response = client.get(_PATH)
    where, status = response.request.url, response.status_code
    if status != 200:
        described = f"GET {where} was answered with {status}"
        raise failure_of_call(error_from_response(status, response.content, described=described), settings)
    try:
        rows: list[dict[str, Any]] = [{"id": model["id"]} | model for model in json.loads(response.content)["data"]]
    except (ValueError, TypeError, KeyError):
        raise Failure(f"GET {where} was not answered with a list of models", code="PROTOCOL_ERROR") from None
    return rows
