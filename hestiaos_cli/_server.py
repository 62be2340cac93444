"""The server and the key of a command's requests: the option, the environment, the profile, or the default.

A profile's key is sent to the profile's own server only.
"""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from hestiaos_cli._failures import MISUSED, Failure

if TYPE_CHECKING:
    from hestiaos_cli._profiles import Profile
    from hestiaos_cli._settings import Settings
    from hestiaos_proto import Proxy

__all__ = ["Server", "full_url", "hide_argument", "key_from_stdin", "server_of"]

_OF_SERVER = ("base_url", "api_key", "profile", "cacert", "insecure", "headers")
_LOCAL_URL = re.compile(r":\d+|(?i:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?(?:/.*)?")  # a short URL of this machine


class Server:
    """A server, with the sources of its URL and key for messages."""

    local = False
    key_hint = "give it with --api-key or HESTIAOS_API_KEY, or keep it with 'hestiaos login'"

    def __init__(self, url: str, url_source: str, api_key: str | None, key_source: str | None) -> None:
        self.url = url
        self.url_source = url_source
        self.api_key = api_key
        self.key_source = key_source

    def check(self) -> None:
        """Raise a `Failure` for an invalid URL or key, with its source."""
        from hestiaos_proto import Config

        parts = (
            (self.url_source, partial(Config, base_url=self.url)),
            (self.key_source, partial(Config, api_key=self.api_key)),
        )
        for source, make_config in parts:
            try:
                make_config()
            except ValueError as error:
                raise Failure(f"{error}; it comes from {source}", code="USAGE", status=MISUSED) from None

    @property
    def host(self) -> str:
        """The host's name, as far as the URL has one."""
        return urlsplit(self.url).hostname or self.url

    @property
    def proxy(self) -> Proxy | None:
        """The proxy of the environment that requests go through."""
        from urllib.request import getproxies

        from hestiaos_proto import Config, environment_proxy

        return environment_proxy(os.environ, getproxies(), Config(base_url=self.url))


class LocalServer(Server):
    """The embedded platform in this process."""

    local = True

    def __init__(self) -> None:
        super().__init__("http://localhost:8000", "--local", None, None)


def server_of(settings: Settings) -> Server:
    """Return the server that the settings name. Raises `UsageError`, `Failure`."""
    if settings.local:
        for name in _OF_SERVER:
            if name in settings.given:
                raise click.UsageError(f"--local runs without a server: leave {settings.given[name]} out, or --local")
        server: Server = LocalServer()
    else:
        if "config" in settings.given:
            raise click.UsageError("--config is the embedded platform's: add --local, or leave it out")
        server = _remote(settings)
    settings.server = server
    return server


def _remote(settings: Settings) -> Server:
    profile = _profile(settings)
    url, url_source = "http://localhost:8000", "the default"
    if settings.base_url is not None:
        url, url_source = settings.base_url, "--base-url"
    elif "profile" not in settings.given and os.environ.get("HESTIAOS_BASE_URL"):
        url, url_source = os.environ["HESTIAOS_BASE_URL"], "HESTIAOS_BASE_URL"
    elif profile is not None:
        url, url_source = profile.base_url, f"the profile '{profile.name}'"
    url = full_url(url)

    if settings.api_key == "-":
        key, key_source = key_from_stdin(settings), "standard input"
    elif settings.api_key is not None:
        hide_argument(settings.api_key)
        key, key_source = settings.api_key, "--api-key"
    elif "profile" not in settings.given and os.environ.get("HESTIAOS_API_KEY"):
        key, key_source = os.environ["HESTIAOS_API_KEY"], "HESTIAOS_API_KEY"
    elif profile is not None and profile.base_url == url:
        key, key_source = profile.api_key() or "", f"the profile '{profile.name}'"
    else:
        key, key_source = "", ""
    server = Server(url, url_source, key or None, key_source if key else None)
    server.check()
    return server


def _profile(settings: Settings) -> Profile | None:
    """Return the named profile, else the current one, if a profile is used at all."""
    name = settings.profile or os.environ.get("HESTIAOS_PROFILE")
    if name is None and settings.base_url is not None and settings.api_key is not None:
        return None
    from hestiaos_cli._places import config_directory

    try:
        path = config_directory() / "profiles.json"
        if name is None and not path.exists():
            return None
    except Failure:
        if name is not None:
            raise
        return None  # without a home directory there are no profiles
    from hestiaos_cli._profiles import Profiles

    profiles = Profiles(path)
    name = name or profiles.current
    return None if name is None else profiles.get(name)


def full_url(url: str) -> str:
    """Complete `:8000` and `localhost:8000` to a URL. Return any other URL unchanged."""
    if _LOCAL_URL.fullmatch(url):
        return f"http://localhost{url}" if url.startswith(":") else f"http://{url}"
    return url


def key_from_stdin(settings: Settings) -> str:
    """Read the API key for `-k -`. Raises `UsageError`."""
    from hestiaos_cli._input import API_KEY, read_stdin

    return read_stdin(settings, API_KEY).strip()


def hide_argument(secret: str) -> None:
    """Hide an argument in the output of `ps` by overwriting it, which is possible on Linux."""
    if sys.platform != "linux" or not secret:
        return
    try:
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end, proc(5)
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(start)
            arguments = memory.read(end - start)
            hidden = arguments.replace(os.fsencode(secret), b"*" * len(os.fsencode(secret)))
            memory.seek(start)
            memory.write(hidden)
    except (OSError, ValueError, IndexError):  # hardened systems do not allow it; -k - needs no trick
        return
