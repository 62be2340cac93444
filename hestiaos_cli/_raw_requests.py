"""Requests without a method of the client, over an httpx client that is configured by the options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from hestiaos_cli._clients import given_headers, verification, without_unused_imports
from hestiaos_cli._hints import failure_of_call
from hestiaos_cli._server import server_of
from hestiaos_proto import Config, ConnectFailed, ConnectionLost, RemoteProtocolError, TimedOut

if TYPE_CHECKING:
    from hestiaos_cli._settings import Settings

with without_unused_imports():
    import httpcore  # noqa: F401  # httpx does so when it is first used
    import httpx

__all__ = ["open_http_client", "raw_errors"]

_TIMEOUT = 30.0  # seconds


def open_http_client(settings: Settings) -> httpx.Client:
    """Create an httpx client for the server. Raises `UsageError` for an invalid URL, key or header."""
    server = server_of(settings)
    try:
        config = Config(base_url=server.url, api_key=server.api_key, headers=given_headers(settings))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    transport: Any = None
    if server.local:
        from hestiaos_cli._local_platform import open_platform
        from hestiaos_local import LocalTransport

        transport = LocalTransport(open_platform(settings))
    return httpx.Client(
        base_url=config.base_url,
        headers=dict(config.common_headers),
        timeout=settings.timeout or _TIMEOUT,
        verify=verification(settings),
        transport=transport,
    )


@contextmanager
def raw_errors(settings: Settings) -> Iterator[None]:
    """Turn httpx's exceptions into those of the client."""
    server = settings.server
    assert server is not None, "a client was opened"
    try:
        yield
    except httpx.TimeoutException as error:
        raise failure_of_call(_caused(TimedOut("the server took too long"), error), settings) from error
    except (httpx.ConnectError, httpx.ProxyError) as error:
        failed = ConnectFailed(f"cannot connect to {server.url}: {error}")
        raise failure_of_call(_caused(failed, error), settings) from error
    except httpx.NetworkError as error:
        raise failure_of_call(_caused(ConnectionLost(f"the connection was lost: {error}"), error), settings) from error
    except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
        raise failure_of_call(_caused(RemoteProtocolError(str(error)), error), settings) from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, httpx.LocalProtocolError) as error:
        raise click.UsageError(f"the request cannot be sent: {error}") from error


def _caused(error: Any, cause: BaseException) -> Any:
    error.__cause__ = cause
    return error
