"""What a client reads of the environment, once, when it is built: the proxy, and the certificate authorities.

The variables mean what they mean to httpx. One that cannot be used is a `ValueError` that names it, when the client is
built; httpx's own exceptions for them come at the first call, and name none.
"""

from __future__ import annotations

import os
import ssl
from functools import cache
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import getproxies

from attrs import field, frozen

from hestiaos_httpx._library import BASE
from hestiaos_proto import Config, default_tls_context

__all__ = ["Proxy", "environment_proxy", "ssl_context"]

_SCHEMES = ("http", "https", "socks5", "socks5h")


@frozen
class Proxy:
    """A proxy of the environment. `auth` is its user and password."""

    scheme: str
    host: str
    port: int
    auth: tuple[bytes, bytes] | None = field(default=None, repr=False)

    @property
    def origin(self) -> str:
        """The proxy without its credentials, as an error names it."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    @property
    def socks(self) -> bool:
        """Whether it speaks SOCKS."""
        return self.scheme.startswith("socks")


def environment_proxy(config: Config) -> Proxy | None:
    """The proxy for a client's base URL: of `HTTP_PROXY` or `HTTPS_PROXY`, else `ALL_PROXY`, unless `NO_PROXY` has it.

    Raises `ValueError` that names the variable.
    """
    proxies = getproxies()  # the system's settings on macOS and Windows, too
    scheme = "https" if config.tls else "http"
    kind = scheme if proxies.get(scheme) else "all"
    url = proxies.get(kind)
    if not url or _bypassed(*config.address, proxies.get("no", "")):
        return None
    name = next((each for each in (f"{kind}_proxy", f"{kind.upper()}_PROXY") if os.environ.get(each)), "the system")
    try:
        return _parse(url if "://" in url else f"http://{url}")
    except ValueError as error:
        raise ValueError(f"the proxy of {name} cannot be used: {error}") from None


def _parse(url: str) -> Proxy:
    """Raises `ValueError`, which does not repeat the URL: it may hold a password."""
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"its scheme must be one of {', '.join(_SCHEMES)}, not {parts.scheme!r}")
    port = parts.port  # raises where it is not a port
    if not parts.hostname or not parts.hostname.isprintable() or " " in parts.hostname or port == 0:
        raise ValueError(f"it has no {'port' if parts.hostname else 'host'} that can be connected to")
    if parts.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ValueError("SOCKS needs the package socksio: pip install 'httpx[socks]'")
    user, password = parts.username, parts.password or ""
    auth = None if user is None else (unquote_to_bytes(user), unquote_to_bytes(password))
    default = {"http": 80, "https": 443}.get(parts.scheme, 1080)
    return Proxy(parts.scheme, parts.hostname, port or default, auth)


def _bypassed(host: str, port: int, no_proxy: str) -> bool:
    """Whether `NO_PROXY` lists the host, by name, domain, address or network; an entry that cannot be read does not."""
    address = _address(host)
    for each in no_proxy.split(","):
        entry = each.strip().lower().partition("://")[2] or each.strip().lower()
        if entry == "*" or entry in (host, f"{host}:{port}", _bracketed(host), f"{_bracketed(host)}:{port}"):
            return True
        domain = entry.lstrip("*").lstrip(".")
        if address is None and domain and host.endswith(f".{domain}"):
            return True
        if address is not None and "/" in entry:
            try:
                if address in ip_network(entry, strict=False):
                    return True
            except ValueError:
                continue
    return False


def _address(host: str) -> object:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def ssl_context(verify: ssl.SSLContext | bool) -> ssl.SSLContext:
    """What verifies a server. For `True` httpx's authorities, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    Raises `ValueError` that names the variable, `TypeError` for another `verify`.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if not isinstance(verify, bool):
        raise TypeError(f"verify must be a bool or an ssl.SSLContext, not {type(verify).__name__}")
    if not verify:
        unverified: ssl.SSLContext = BASE.http.create_ssl_context(verify=False)
        return unverified
    return default_tls_context(os.environ, _create_context, os.listdir, os.pathsep)


def _create_context(cafile: str | None, capath: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=cafile, capath=capath) if cafile or capath else _usual_context()


@cache
def _usual_context() -> ssl.SSLContext:
    """httpx's authorities, loaded once for all clients: it takes tens of milliseconds."""
    usual: ssl.SSLContext = BASE.http.create_ssl_context(trust_env=False)
    return usual
