"""`hestiaos api`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hestiaos_cli._command import command as make_command
from hestiaos_cli._failures import Failure, one_line, tell
from hestiaos_cli._input import open_stdin, parse_json
from hestiaos_cli._options import CONNECTION
from hestiaos_cli._settings import Settings
from hestiaos_cli._terminal import dim, is_terminal, visible
from hestiaos_cli._waiting import waiting

if TYPE_CHECKING:
    import httpx

__all__ = ["command"]


@make_command(
    "api",
    takes=CONNECTION - {"retries"} | {"json"},
    examples=(
        "hestiaos api /api/system/config",
        "hestiaos api /api/v1/run -f input=hi",
    ),
)
@click.argument("words", metavar="[METHOD] PATH", nargs=-1, required=True)
@click.option("--data", "-d", metavar="JSON", help="The body; '@FILE' reads it from a file, '-' from standard input.")
@click.option(
    "--raw-field",
    "-f",
    "fields",
    multiple=True,
    metavar="NAME=TEXT",
    help="A string member of the body, a JSON object.",
)
@click.option("--include", "-i", is_flag=True, help="Show the response's status and headers on stderr.")
@click.pass_obj
def command(
    settings: Settings, words: tuple[str, ...], data: str | None, fields: tuple[str, ...], include: bool
) -> None:
    """Send any request, for what has no command.

    The API key and the other options of a request apply: 'hestiaos api GET /api/system/config'. METHOD is by default
    GET, or POST with a body: 'hestiaos api /api/v1/run -f input=hello'. The body of the response goes to standard
    output as it arrives.
    """
    *before, path = words
    if len(before) > 1:
        raise click.UsageError(f"a method and a path are given, not {len(words)} words")
    method = before[0] if before else "GET" if data is None and not fields else "POST"
    if not path.startswith("/") or path.startswith("//"):
        raise click.UsageError(f"the path begins with one slash, as in /api/system/config, not {path!r}")
    if data is not None and fields:
        raise click.UsageError("--data and --raw-field are two ways to give the body: use one of them")
    body = _object(fields) if fields else _body(settings, data)
    headers = {} if body is None else {"Content-Type": "application/json"}
    from hestiaos_cli._raw_requests import open_http_client, raw_errors

    with open_http_client(settings) as client, raw_errors(settings), waiting() as stop:
        request = client.build_request(method.upper(), path, content=body, headers=headers)
        if settings.verbose:
            tell(dim(one_line(f"> {request.method} {request.url} ({len(body or b'')} bytes)")))
        response = client.send(request, stream=True)
        stop()
        if include or settings.verbose:
            _tell_head(response)
        try:
            _print_body(response)
        finally:
            response.close()
    if response.status_code >= 300:
        raise Failure(f"{request.method} {path} was answered with {response.status_code}", code="HTTP_ERROR")


def _body(settings: Settings, data: str | None) -> bytes | None:
    if data is None:
        return None
    if data == "-":
        return open_stdin(settings, "the body").read()
    if data.startswith("@"):
        return Path(data[1:]).read_bytes()
    parse_json(data, "the body")
    return data.encode()


def _object(fields: tuple[str, ...]) -> bytes:
    """Encode a JSON object whose values are all strings. Raises `UsageError`."""
    pairs = [field.partition("=") for field in fields]
    for name, equals, _ in pairs:
        if not (name and equals):
            raise click.UsageError(f"a field must have the form NAME=TEXT, not '{name}'")
    return json.dumps({name: text for name, _, text in pairs}).encode()


def _tell_head(response: httpx.Response) -> None:
    tell(dim(one_line(f"< {response.status_code} {response.reason_phrase}")))
    for name, value in response.headers.items():
        tell(dim(one_line(f"< {name}: {value}")))


def _print_body(response: httpx.Response) -> None:
    """Print the body as it arrives: to a terminal as visible text, else byte by byte."""
    last = "\n"
    if is_terminal(sys.stdout):
        for text in response.iter_text():
            sys.stdout.write(visible(text))
            sys.stdout.flush()
            last = text[-1:] or last
    else:
        from hestiaos_cli._standard_streams import write_bytes

        for piece in response.iter_bytes():
            write_bytes(piece)
    if last != "\n":
        sys.stdout.write("\n")
        sys.stdout.flush()  # before anything is printed on standard error
