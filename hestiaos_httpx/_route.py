"""The route to the server: direct or through the proxy of the environment, and its TLS context.

The environment is read once, when the client is built; a wrong variable is a `ValueError` that names it. httpx would
raise its own exceptions at the first call, which do not.
"""

from __future__ import annotations

import os
import ssl
from functools import cache
from importlib.util import find_spec
from typing import Any
from urllib.request import getproxies

from hestiaos_httpx._library import BASE, core
from hestiaos_httpx._limits import Limits
from hestiaos_proto import Config, Proxy, default_tls_context, environment_proxy

__all__ = ["Route"]


class Route:
    """The configuration of connections, read once, when the client is built.

    Raises `ValueError` for wrong variables of the environment, `TypeError` for arguments of the wrong type.
    """

    def __init__(self, config: Config, *, verify: ssl.SSLContext | bool, limits: Limits | None) -> None:
        own: Limits = BASE.http.Limits(max_connections=100, max_keepalive_connections=20) if limits is None else limits
        try:
            self.max_connections: int | None = own.max_connections
            self.max_keepalive: int | None = own.max_keepalive_connections
            self._expiry = own.keepalive_expiry
            most = self.max_connections
            if most is not None and most < 1:
                raise ValueError(f"limits.max_connections must be 1 or more, not {most}")
        except (AttributeError, TypeError):
            raise TypeError(f"limits must be like httpx.Limits, not {type(limits).__name__}") from None
        if not isinstance(verify, (bool, ssl.SSLContext)):
            raise TypeError(f"verify must be a bool or an ssl.SSLContext, not {type(verify).__name__}")
        self.proxy: Proxy | None = environment_proxy(os.environ, getproxies(), config)
        self.socks: bool = self.proxy is not None and self.proxy.socks
        if self.proxy is not None and self.socks and find_spec("socksio") is None:
            raise ValueError(f"{self.proxy.variable} names a SOCKS proxy, which needs socksio: pip install socksio")
        self._origin = config.origin
        over_tls = self.proxy is not None and self.proxy.scheme == "https"
        # Not later: in the forked child of a process with threads, making the first context can hang.
        self._context = _ssl_context(verify) if config.tls or over_tls else None
        self.handshakes: int = config.tls + over_tls + self.socks

    @property
    def peer(self) -> str:
        """The server, and the proxy if there is one, as an error names them."""
        return self._origin if self.proxy is None else f"{self._origin} through the proxy {self.proxy.origin}"

    def connection(self, network: Any, *, asynchronous: bool = False) -> Any:
        """Create a connection of httpcore over `network`, which is not connected yet."""
        # A throw-away pool is the public way to make a connection of each kind.
        return self.pool(network, asynchronous=asynchronous).create_connection(core().URL(self._origin).origin)

    def pool(self, network: Any = None, *, asynchronous: bool) -> Any:
        """Create a pool of httpcore, whose connections are over `network`."""
        arguments: dict[str, Any] = {"ssl_context": self._context, "keepalive_expiry": self._expiry}
        if self.proxy is not None:
            arguments |= {"proxy_url": self.proxy.origin, "proxy_auth": self.proxy.auth}
            if self.proxy.scheme == "https":
                arguments["proxy_ssl_context"] = self._context
        return self.pool_class(asynchronous=asynchronous)(network_backend=network, **arguments)

    def pool_class(self, *, asynchronous: bool) -> Any:
        """Return the class of that pool."""
        kind = "ConnectionPool" if self.proxy is None else "SOCKSProxy" if self.socks else "HTTPProxy"
        return getattr(core(), ("Async" if asynchronous else "") + kind)


def _ssl_context(verify: ssl.SSLContext | bool) -> ssl.SSLContext:
    """Return the TLS context. For `True` it has httpx's authorities, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`."""
    if verify is not True:
        given: ssl.SSLContext = BASE.http.create_ssl_context(verify=verify)
        return given
    return default_tls_context(os.environ, _create_context, os.listdir, os.pathsep)


def _create_context(cafile: str | None, capath: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cafile, capath=capath) if cafile or capath else _usual_context()


@cache
def _usual_context() -> ssl.SSLContext:
    """Return the context with httpx's authorities, made once for all clients, as it takes tens of milliseconds."""
    usual: ssl.SSLContext = BASE.http.create_ssl_context(trust_env=False)
    return usual
