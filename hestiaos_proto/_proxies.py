"""The proxy that the environment names; the variables have the meaning that they have for curl and httpx."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import unquote_to_bytes, urlsplit

from attrs import field, frozen

from hestiaos_proto._config import Config

__all__ = ["Proxy", "environment_proxy"]

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@frozen
class Proxy:
    """A proxy. `variable` is the environment variable that names it, `auth` its user and password."""

    variable: str
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
        """Whether it is a SOCKS proxy."""
        return self.scheme.startswith("socks")


def environment_proxy(environ: Mapping[str, str], proxies: Mapping[str, str], config: Config) -> Proxy | None:
    """Return the proxy for a client's base URL: `HTTP_PROXY` or `HTTPS_PROXY`, else `ALL_PROXY`, unless in `NO_PROXY`.

    `proxies` is what `urllib.request.getproxies` returns for `environ`, and for the settings of macOS and Windows.

    Raises `ValueError` that names the variable, and does not quote a possible password.
    """
    scheme = "https" if config.tls else "http"
    kind = scheme if proxies.get(scheme) else "all"
    url = proxies.get(kind)
    if not url or _excepted(*config.address, proxies.get("no", "")):
        return None
    variable = next((name for name in (f"{kind}_proxy", f"{kind.upper()}_PROXY") if environ.get(name)), "the system")
    return _parse(variable, url if "://" in url else f"http://{url}")


def _parse(variable: str, url: str) -> Proxy:
    wrong = f"the proxy of {variable} cannot be used: its"
    try:
        parts = urlsplit(url)
    except ValueError:  # its message quotes the host, with the credentials
        raise ValueError(f"{wrong} URL has no host that can be connected to") from None
    if parts.scheme not in _PORTS:
        raise ValueError(f"{wrong} scheme must be one of {', '.join(_PORTS)}, not {parts.scheme!r}")
    try:
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if not port:
        raise ValueError(f"{wrong} port is not a number from 1 to 65535")
    if not parts.hostname or not parts.hostname.isprintable() or " " in parts.hostname:
        raise ValueError(f"{wrong} URL has no host that can be connected to")
    user, password = parts.username, parts.password or ""
    auth = None if user is None else (unquote_to_bytes(user), unquote_to_bytes(password))
    return Proxy(variable, parts.scheme, parts.hostname, port, auth)


def _excepted(host: str, port: int, no_proxy: str) -> bool:
    """Return whether `NO_PROXY` has the host, by name, domain, address or network. Invalid entries are ignored."""
    try:
        address = ip_address(host)
    except ValueError:
        address = None
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


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
