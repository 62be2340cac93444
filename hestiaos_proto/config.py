"""What a client is told once: where the server is, the key, the timeouts. Validated when built, never printed whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import urlsplit

from attrs import Factory, field, frozen, validators

from hestiaos_proto.sse import MAX_EVENT_SIZE

__all__ = ["DEFAULT_BASE_URL", "FIELD_VALUE", "MAX_BODY_SIZE", "MAX_HEAD_SIZE", "Config"]

DEFAULT_BASE_URL = "http://localhost:8000"
MAX_HEAD_SIZE = 64 * 1024
"""How large a request's or a response's first line and headers may be together, in bytes."""
MAX_BODY_SIZE = 16 * 1024 * 1024
"""How large a body may be by default after decompression, in bytes."""

_VISIBLE = re.compile(r"[!-~]+")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
FIELD_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?|")
"""What a header's value may be: RFC 9110, section 5.5, without obs-text."""

_OURS = frozenset({"authorization", "content-length", "content-type", "host", "idempotency-key", "transfer-encoding"})


def _base_url(url: str) -> str:
    if not url:
        raise ValueError(f"the base URL is empty: give one like {DEFAULT_BASE_URL}")
    if "@" in url:  # before any message that repeats the URL, and so a password
        raise ValueError("the base URL may not contain credentials, nor an '@': give the key as api_key")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"the base URL {url!r} is no URL: {error}") from None
    if not _VISIBLE.fullmatch(url):
        raise ValueError(f"the base URL {url!r} contains white space, a control character or non-ASCII text")
    if parts.scheme not in ("http", "https") or not url.lower().startswith(f"{parts.scheme}://"):
        raise ValueError(f"the base URL {url!r} must begin with http:// or https://")
    if not parts.hostname or port == 0:
        raise ValueError(f"the base URL {url!r} names no {'port' if parts.hostname else 'host'}")
    if "?" in url or "#" in url:
        raise ValueError(f"the base URL {url!r} may not have a query or a fragment")
    return url.rstrip("/")


def _api_key(key: str | None) -> str | None:
    if key and not _VISIBLE.fullmatch(key):  # what RFC 9110 lets stand in a field value, less white space
        raise ValueError("the API key contains white space, a control character or a non-ASCII character")
    return key or None


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no header name")
        if name.lower() in _OURS:
            raise ValueError(f"the header {name!r} is the client's own and cannot be given")
        if not FIELD_VALUE.fullmatch(value):
            raise ValueError(f"the header {name!r} has a value with a character that no header may have")
    return dict(headers)


def _origin(base_url: str) -> str:
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc}"


def _positive(instance: Config, attribute: Any, value: float) -> None:
    if not (isinstance(value, (int, float)) and 0 < value < 10**9):
        raise ValueError(
            f"{attribute.name} must be a number greater than 0 and below a thousand million, not {value!r}"
        )


def _size(instance: Config, attribute: Any, value: int) -> None:
    _positive(instance, attribute, value)
    if not isinstance(value, int):
        raise ValueError(f"{attribute.name} must be a whole number of bytes, not {value!r}")


def _not_negative(instance: Config, attribute: Any, value: int) -> None:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{attribute.name} must be a whole number, 0 or more, not {value!r}")


@frozen(kw_only=True)
class Config:
    """Everything that the core must know of a client.

    `timeout` bounds each connect, read and write, `deadline` a whole call with its retries and waits (`None`: not at
    all); both in seconds. `retries` is the most repeats of one call. `headers` are sent with every request.
    `max_body_size` and `max_event_size` are in bytes, after decompression. `origin` is the base URL's scheme, host and
    port, `root_path` the path that it puts before every operation's, often `""`. Raises `ValueError` for what is wrong.
    """

    base_url: str = field(default=DEFAULT_BASE_URL, converter=_base_url)
    api_key: str | None = field(default=None, converter=_api_key, repr=lambda key: "None" if key is None else "'***'")
    timeout: float = field(default=30.0, validator=_positive)
    retries: int = field(default=3, validator=_not_negative)
    deadline: float | None = field(default=None, validator=validators.optional(_positive))
    headers: Mapping[str, str] = field(factory=dict, converter=_headers, repr=False)
    strict: bool = True
    max_body_size: int = field(default=MAX_BODY_SIZE, validator=_size)
    max_event_size: int = field(default=MAX_EVENT_SIZE, validator=_size)
    origin: str = field(init=False, repr=False, eq=False, default=Factory(lambda self: _origin(self.base_url), True))
    root_path: str = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: urlsplit(self.base_url).path, True)
    )

    @property
    def tls(self) -> bool:
        """Whether the server is spoken to over TLS."""
        return self.base_url.lower().startswith("https:")

    @property
    def address(self) -> tuple[str, int]:
        """The host and the port to connect to."""
        parts = urlsplit(self.base_url)
        assert parts.hostname is not None, "the base URL was looked at"
        return parts.hostname, parts.port or (443 if self.tls else 80)

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], *, base_url: str | None = None, api_key: str | None = None, **rest: Any
    ) -> Self:
        """A config in which `HESTIAOS_BASE_URL` and `HESTIAOS_API_KEY` stand in for what is not given."""
        if base_url is None:
            base_url = environ.get("HESTIAOS_BASE_URL") or DEFAULT_BASE_URL
        if api_key is None:
            api_key = environ.get("HESTIAOS_API_KEY")
        return cls(base_url=base_url, api_key=api_key, **rest)
