"""The global options, accepted before the command and after it; what stands later wins."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from hestiaos_cli._failures import Failure

if TYPE_CHECKING:
    from hestiaos import Client, Platform
    from hestiaos_proto import Redactor

__all__ = ["Settings", "global_options"]

F = TypeVar("F", bound=Callable[..., Any])


class Settings:
    """What the global options say. What is not given is left to the client, which knows the environment variables."""

    base_url: str | None = None
    api_key: str | None = None
    json = False
    local = False

    def client(self) -> Client:
        """A client for the server, or with `--local` for the platform in this process."""
        from hestiaos import Client

        if not self.local:
            return Client(self.base_url, self.api_key, retries=0)  # a shell would rather hear of it now
        if self.base_url is not None:
            raise ValueError("--local runs without a server: leave --base-url out, or --local")
        from hestiaos import LocalTransport
        from hestiaos_proto import DEFAULT_BASE_URL

        # Given, so that the environment's, which are a server's, are not taken.
        return Client(DEFAULT_BASE_URL, "", transport=LocalTransport(_own_platform()), retries=0)

    def key(self) -> str | None:
        """The API key that a server is sent; `None` where there is none."""
        return self.api_key or os.environ.get("HESTIAOS_API_KEY") or None

    def redactor(self) -> Redactor:
        """Hides the API key in what a server says."""
        from hestiaos_proto import Redactor

        return Redactor(self.key())


def _own_platform() -> Platform:
    """The platform whose memory is a file in the user's application directory."""
    from hestiaos_local import Platform, Store, StoreError

    try:
        store = Store(Path(click.get_app_dir("hestiaos")) / "hestiaos.sqlite3")
    except StoreError as error:
        raise Failure(f"{error}, or move it away: --local then makes a new one") from error
    return Platform(store=store)


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    settings = context.ensure_object(Settings)
    assert parameter.name is not None, "every option has a name"
    if context.get_parameter_source(parameter.name) is not ParameterSource.DEFAULT:
        setattr(settings, parameter.name, value)


def global_options(command: F) -> F:
    """Give a command, or the group of them, the global options."""
    option = partial(click.option, callback=_keep, expose_value=False)
    for give in (
        option("--local", is_flag=True, help="Use the embedded platform; no server is needed."),
        option("--json", "-j", is_flag=True, help="Output as raw JSON."),
        option("--api-key", "-k", metavar="KEY", help="API key for authentication; else $HESTIAOS_API_KEY."),
        option(
            "--base-url", "-u", metavar="URL", help="API base URL; else $HESTIAOS_BASE_URL, else http://localhost:8000."
        ),
    ):
        command = give(command)
    return command
