"""Client configuration, validated on construction. Neither `repr` nor a pickle has the API key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import NoneType
from typing import Any, Self, TypedDict, Unpack
from urllib.parse import urlsplit

from attrs import Factory, evolve, field, frozen
from attrs import fields as attrs_fields

from hestiaos_proto._api_keys import key_digest, recall_key, remember_key
from hestiaos_proto._arguments import FOREVER, check_bool, check_whole, seconds, type_name
from hestiaos_proto._content_codings import ACCEPT_ENCODING
from hestiaos_proto._redaction import Redactor
from hestiaos_proto._sse import MAX_EVENT_SIZE
from hestiaos_proto._version import __version__

__all__ = [
    "DEFAULT_BASE_URL",
    "FIELD_VALUE",
    "MAX_BODY_SIZE",
    "MAX_HEAD_SIZE",
    "Config",
    "ConfigOptions",
    "check_idempotency_key",
]

DEFAULT_BASE_URL = "http://localhost:8000"
MAX_HEAD_SIZE = 64 * 1024
"""How large a request's or a response's first line and headers may be together, in bytes."""
MAX_BODY_SIZE = 16 * 1024 * 1024
"""How large a body may be by default after decompression, in bytes."""

_VISIBLE = re.compile(r"[!-~]+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
FIELD_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?|")
"""What a header's value may be: RFC 9110, section 5.5, without obs-text."""

# RFC 3986, sections 3.2.2 and 3.3, and RFC 6874 for the zone of an IPv6 address; no host name has a percent sign.
_AUTHORITY = re.compile(r"(\[[0-9A-Za-z:.%_~-]+\]|[0-9A-Za-z._~!$&'()*+,;=-]*)(:[0-9]*)?")
_PATH = re.compile(r"([0-9A-Za-z._~!$&'()*+,;=:/-]|%[0-9A-Fa-f]{2})*")
_PORTS = {"http": 80, "https": 443}

_OURS = frozenset({"authorization", "content-length", "content-type", "host", "idempotency-key", "transfer-encoding"})


def _base_url(url: str) -> str:
    if not isinstance(url, str):
        raise TypeError(f"base_url must be a str, not {type_name(url)}")
    return _normalized(url)


@lru_cache(maxsize=64)  # a call with its own options creates a config too
def _normalized(url: str) -> str:
    """Return the URL as every binding sends it: scheme and host in lower case, no default port, no slash at the end."""
    if not url:
        raise ValueError(f"the base URL is empty: give one like {DEFAULT_BASE_URL}")
    if "@" in url:  # checked first: the messages below repeat the URL, and so a password
        raise ValueError("the base URL may not contain credentials, nor an '@': give the key as api_key")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"the base URL {url!r} is not a URL: {error}") from None
    if not _VISIBLE.fullmatch(url):
        raise ValueError(f"the base URL {url!r} contains white space, a control character or non-ASCII text")
    if parts.scheme not in _PORTS or not url.lower().startswith(f"{parts.scheme}://"):
        raise ValueError(f"the base URL {url!r} must begin with http:// or https://")
    if not parts.hostname or port == 0:
        raise ValueError(f"the base URL {url!r} has no {'valid port' if parts.hostname else 'host'}")
    if "?" in url or "#" in url:
        raise ValueError(f"the base URL {url!r} may not have a query or a fragment")
    if not _AUTHORITY.fullmatch(parts.netloc):
        raise ValueError(f"the base URL {url!r} has a character in its host that is not allowed there")
    if not _PATH.fullmatch(parts.path):
        raise ValueError(f"the base URL {url!r} has a character in its path that must be percent-encoded")
    if not {".", ".."}.isdisjoint(parts.path.split("/")):
        raise ValueError(f"the base URL {url!r} may not have '.' or '..' in its path")
    host = parts.hostname
    if ":" in host:  # the zone of an address is written after %25 in URLs (RFC 6874), and after % everywhere else
        host = f"[{host.replace('%25', '%', 1)}]"
    own_port = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{own_port}{parts.path}".rstrip("/")


def _api_key(key: str | None) -> str | None:
    if not isinstance(key, (str, NoneType)):
        raise TypeError(f"api_key must be a str or None, not {type_name(key)}")
    if key and not _VISIBLE.fullmatch(key):  # RFC 9110, section 5.5, without white space
        raise ValueError("the API key contains white space, a control character or a non-ASCII character")
    return key or None


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping of str to str, not {type_name(headers)}")
    for name, value in headers.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise TypeError(f"headers must be a mapping of str to str, not of {type_name(name)} to {type_name(value)}")
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is not a header name")
        if name.lower() in _OURS:
            raise ValueError(f"the header {name!r} is the client's own and cannot be given")
        if not FIELD_VALUE.fullmatch(value):
            raise ValueError(f"the header {name!r} has a value with a character that is not allowed there")
    return dict(headers)


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def check_idempotency_key(key: str) -> None:
    """Raise `ValueError` for a key that no header can carry, `TypeError` for one that is not a str."""
    if not isinstance(key, str):
        raise TypeError(f"idempotency_key must be a str or None, not {type_name(key)}")
    if not (key and FIELD_VALUE.fullmatch(key)):
        raise ValueError("the idempotency key is empty, or has a character that is not allowed in a header")


def _timeout(instance: Config, attribute: Any, value: float) -> None:
    if seconds(attribute.name, value) is None:
        raise TypeError(f"{attribute.name} must be a number of seconds, not None")


def _deadline(instance: Config, attribute: Any, value: float | None) -> None:
    seconds(attribute.name, value)


def _size(instance: Config, attribute: Any, value: int) -> None:
    check_whole(attribute.name, value)
    if not 0 < value < FOREVER:
        raise ValueError(f"{attribute.name} must be a number of bytes greater than 0 and below 10**9")


def _retries(instance: Config, attribute: Any, value: int) -> None:
    check_whole(attribute.name, value)
    if value < 0:
        raise ValueError(f"{attribute.name} must be 0 or more")


def _strict(instance: Config, attribute: Any, value: bool) -> None:
    check_bool(attribute.name, value)


def _common_headers(config: Config) -> dict[str, str]:
    """Return the headers of every request of a client: the given ones, and its own for other names."""
    own = {"User-Agent": f"hestiaos-sdk/{__version__}", "Accept-Encoding": ACCEPT_ENCODING}
    common = {name: value for name, value in own.items() if name.lower() not in config.given_headers} | dict(
        config.headers
    )
    return common if config.api_key is None else common | {"Authorization": f"Bearer {config.api_key}"}


class ConfigOptions(TypedDict, total=False):
    """The arguments of `Config` besides `base_url` and `api_key`."""

    timeout: float
    retries: int
    deadline: float | None
    headers: Mapping[str, str]
    strict: bool
    max_body_size: int
    max_event_size: int


@frozen(kw_only=True, repr=False)
class Config:
    """Client configuration, validated on construction. `repr` redacts the API key.

    `timeout` bounds each connect, read and write, `deadline` a whole call with its retries and waits (`None`: not at
    all); both in seconds. `retries` is the most repeats of one call. `headers` are sent with every request.
    `max_body_size` and `max_event_size` are in bytes, after decompression. `origin` is the base URL's scheme, host and
    port, `root_path` the path that it puts before every operation's, often `""`; `given_headers` the names of `headers`
    in lower case, `common_headers` what every request has; `redactor` hides the key.

    Raises `ValueError` for a value that is wrong, `TypeError` for one of the wrong type.

    A pickle has the key's SHA-256 instead of the key. It can be read where a `Config` with that key has been made, in
    the same process or in its parent before the fork; elsewhere that raises `ValueError`.
    """

    base_url: str = field(default=DEFAULT_BASE_URL, converter=_base_url)
    api_key: str | None = field(default=None, converter=_api_key)
    timeout: float = field(default=30.0, validator=_timeout)
    retries: int = field(default=3, validator=_retries)
    deadline: float | None = field(default=None, validator=_deadline)
    headers: Mapping[str, str] = field(factory=dict, converter=_headers, repr=False)
    strict: bool = field(default=True, validator=_strict)
    max_body_size: int = field(default=MAX_BODY_SIZE, validator=_size)
    max_event_size: int = field(default=MAX_EVENT_SIZE, validator=_size)
    origin: str = field(init=False, repr=False, eq=False, default=Factory(lambda self: _origin(self.base_url), True))
    root_path: str = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: urlsplit(self.base_url).path, True)
    )
    given_headers: frozenset[str] = field(
        init=False,
        repr=False,
        eq=False,
        default=Factory(lambda self: frozenset(map(str.lower, self.headers)), takes_self=True),
    )
    common_headers: Mapping[str, str] = field(
        init=False, repr=False, eq=False, default=Factory(_common_headers, takes_self=True)
    )
    redactor: Redactor = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: Redactor(self.api_key), takes_self=True)
    )

    def __attrs_post_init__(self) -> None:
        if self.api_key is not None:
            remember_key(self.api_key)

    def __repr__(self) -> str:
        # attrs's own fails while the constructor runs, and error reporters show the locals of one that has raised.
        shown = {each.name: getattr(self, each.name, "…") for each in attrs_fields(Config) if each.repr}
        if shown["api_key"] is not None:
            shown["api_key"] = "***"
        return f"Config({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def tls(self) -> bool:
        """Whether the server is reached over TLS."""
        return self.base_url.startswith("https:")

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port to connect to."""
        parts = urlsplit(self.base_url)
        assert parts.hostname is not None, "the base URL has been validated"
        return parts.hostname, parts.port or _PORTS[parts.scheme]

    def for_call(
        self,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        deadline: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Config:
        """Return the configuration of one call: `None` changes nothing, and `headers` are added."""
        own = {"timeout": timeout, "retries": retries, "deadline": deadline}
        changes: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
        if headers is not None:
            replaced = {name.lower() for name in _headers(headers)}
            kept = {name: value for name, value in self.headers.items() if name.lower() not in replaced}
            changes["headers"] = kept | dict(headers)
        return evolve(self, **changes) if changes else self

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {each.name: getattr(self, each.name) for each in attrs_fields(Config) if each.init}
        key = fields.pop("api_key")
        return _unpickle, (type(self), fields, None if key is None else key_digest(key))

    @classmethod
    def from_environ(
        cls,
        environ: Mapping[str, str],
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        **rest: Unpack[ConfigOptions],
    ) -> Self:
        """Create a config, taking `HESTIAOS_BASE_URL` and `HESTIAOS_API_KEY` from `environ` for `None`."""
        if base_url is None:
            base_url = environ.get("HESTIAOS_BASE_URL") or DEFAULT_BASE_URL
        if api_key is None:
            api_key = environ.get("HESTIAOS_API_KEY")
        return cls(base_url=base_url, api_key=api_key, **rest)


def _unpickle(cls: type[Config], fields: dict[str, Any], digest: str | None) -> Config:
    return cls(api_key=None if digest is None else recall_key(digest), **fields)
