"""The synchronous client that a command uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hestiaos_cli._server import server_of

if TYPE_CHECKING:
    import ssl

    from hestiaos import Client
    from hestiaos_cli._settings import Settings
    from hestiaos_proto import Hooks

__all__ = ["given_headers", "open_client", "verification", "without_unused_imports"]

_TIMEOUT = 30.0  # seconds
_UNUSED = ("trio", "anyio", "httpx._main", "msgspec")


def open_client(
    settings: Settings,
    *,
    retries: int = 0,
    connections: int | None = None,
    looks_only: bool = False,
) -> Client:
    """Create a client for the server, or with `--local` for the platform in this process.

    By default it does not retry: at a shell, an error at once is better than one after a wait. A command that
    `looks_only` does not create a store for `--local`.
    """
    server = server_of(settings)
    options: dict[str, Any] = {
        "timeout": _TIMEOUT if settings.timeout is None else settings.timeout,
        "retries": retries if settings.retries is None else settings.retries,
        "hooks": _hooks(settings),
    }
    if server.local:
        with without_unused_imports():
            from hestiaos_cli._local_client import LocalClient
            from hestiaos_cli._local_platform import open_platform

        platform = open_platform(settings, looks_only=looks_only)
        settings.echoes = platform.echoes
        local: Any = LocalClient(platform, **options)
        return local  # type: ignore[no-any-return]  # it has the same methods
    with without_unused_imports():
        import httpcore  # noqa: F401  # httpx does so when it is first used
        import httpx

        from hestiaos import Client
    if connections is not None:
        options["limits"] = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return Client(
        server.url,
        server.api_key or "",  # passed even if empty, so that the environment's is not used
        headers=given_headers(settings),
        verify=verification(settings),
        **options,
    )


@contextmanager
def without_unused_imports() -> Iterator[None]:
    """Let httpx be imported without optional dependencies that are not needed here.

    With trio that is 100 ms at each start (encode/httpcore imports the backends of all event loops), with rich 60 ms
    (encode/httpx imports its own command line), with msgspec 6 ms, which it saves on megabytes of JSON only. They can
    still be imported later.
    """
    absent = [name for name in _UNUSED if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # which makes its import an ImportError
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def given_headers(settings: Settings) -> Mapping[str, str]:
    """Return the headers of `-H`. Raises `UsageError` for one without a name."""
    headers = {}
    for line in settings.headers:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise click.UsageError("a header must have the form 'Name: value'")
        headers[name.strip()] = value.strip()
    return headers


def verification(settings: Settings) -> ssl.SSLContext | bool:
    """Return how to verify the server: `--cacert`, `--insecure`, or the usual authorities. Raises `UsageError`."""
    if settings.insecure:
        return False
    if settings.cacert is None:
        return True
    import ssl

    try:
        return ssl.create_default_context(cafile=settings.cacert)
    except OSError as error:  # an ssl.SSLError is one
        raise click.UsageError(f"--cacert {settings.cacert} cannot be used: {error.strerror or error}") from error


def _hooks(settings: Settings) -> Hooks | None:
    if not settings.verbose:
        return None
    from hestiaos_cli._verbose import tracing_hooks

    local = settings.server is not None and settings.server.local
    return tracing_hooks(with_headers=settings.verbose > 1, local=local)
