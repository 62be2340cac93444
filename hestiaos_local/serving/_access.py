"""Access to a served platform, decided by the head of a request alone, before its body is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from attrs import field, frozen

from hestiaos_local.keys import Key, Keys
from hestiaos_local.serving._resources import COMPLETIONS, MODELS, OPEN_OPERATION, OPEN_RESOURCES
from hestiaos_local.serving._roles import roles_for
from hestiaos_proto import AuthenticationFailed, EncodedResponse, ServerRequest, StatusError

__all__ = ["NOT_LOCAL", "Access", "Headers"]

Headers = tuple[tuple[str, str], ...]

_ORIGIN = re.compile(r"(https?)://([^/?#@\s]+)")
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::([0-9]*))?")
_PORTS = {"http": "80", "https": "443"}

_PREFLIGHT = "access-control-request-method"

NOT_LOCAL = "without an API key this server answers programs of this machine only, as localhost or by its address"
_OTHER_ORIGIN = "this server does not answer web pages of this origin: allow it with --allow-origin"
_MAX_AGE = "600"  # seconds for which a browser remembers the response to a preflight


def _origins(origins: Iterable[str]) -> frozenset[str]:
    if isinstance(origins, str):
        raise TypeError("allow_origins must be a collection of origins, not one str")
    return frozenset(map(_normal_origin, origins))


def _normal_origin(origin: str) -> str:
    match = _ORIGIN.fullmatch(origin.lower().removesuffix("/"))
    if match is None:
        raise ValueError(f"an origin is a scheme, a host and perhaps a port, as https://example.com, not {origin!r}")
    return f"{match[1]}://{match[2].removesuffix(':' + _PORTS[match[1]])}"


@frozen
class Access:
    """Access: who may ask.

    With `keys`, who has one of them with the role for it; `health` and the OpenAPI document need none. Without,
    programs of this machine: a web page whose name was made to resolve to loopback gives itself away by its Host,
    which is then neither an address nor `localhost` nor `host`, the name that is served. A web page of another origin
    may ask only where `allow_origins` names it, key or not (the Fetch standard, "CORS protocol").
    """

    keys: Keys | None = field(repr=False)
    host: str = "localhost"
    allow_origins: frozenset[str] = field(default=frozenset(), converter=_origins)

    def judge(self, call: ServerRequest) -> StatusError | EncodedResponse | None:
        """The refusal of a request or the response to it, by its head; `None` if it may go on."""
        host = call.headers.get("host", "")
        if self.keys is None and not self._is_local(host):
            return StatusError(NOT_LOCAL, status_code=421)
        origin = call.headers.get("origin")
        if origin is not None:
            if not _is_same(origin, host) and not self._allows(origin):
                return StatusError(_OTHER_ORIGIN, status_code=403, code="ORIGIN_NOT_ALLOWED")
            if call.method == "OPTIONS" and _PREFLIGHT in call.headers:
                return _answer_preflight(call)
        found = self.authorize(call)
        return found if isinstance(found, StatusError) else None

    def authorize(self, call: ServerRequest) -> Key | StatusError | None:
        """The key of a request, or the refusal of one that has none for it; `None` where none is needed nor there."""
        if self.keys is None:
            return None
        key = None if call.key is None else self.keys.find(call.key)
        if call.operation == OPEN_OPERATION or call.resource in OPEN_RESOURCES:
            return key
        if key is None:
            return AuthenticationFailed()
        return _check_role(key, call) or key

    def headers(self, call: ServerRequest) -> Headers:
        """The headers of a response for a web page of an allowed origin."""
        origin = call.headers.get("origin")
        if origin is None:
            return (("Vary", "Origin"),) if self.allow_origins else ()
        if not self._allows(origin):
            return (("Vary", "Origin"),)
        return (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", "Retry-After, X-Hestia-Trace-Id"),
            ("Vary", "Origin"),
        )

    def _allows(self, origin: str) -> bool:
        return origin.lower() in self.allow_origins

    def _is_local(self, host: str) -> bool:
        match = _HOST.fullmatch(host.lower())
        if match is None:
            return False
        name = match[1].removesuffix(".")
        return name in ("localhost", self.host.lower().removesuffix(".")) or _is_address(name.strip("[]"))


def _check_role(key: Key, call: ServerRequest) -> StatusError | None:
    """The refusal of a key without the role for a request.

    It is a 401 (RFC 9110, section 15.5.2: "authorization has been refused for those credentials"), since a 403 of this
    wire says that governance has blocked. OpenAI's clients know a 403 for what it is.
    """
    roles = roles_for(call.operation or call.resource or "")
    if any(map(key.may, roles)) or call.refusal is not None:
        return None
    role = roles[0]
    status = 403 if call.resource in (COMPLETIONS, MODELS) else 401
    message = f"the API key {key.name!r} does not have the role {role!r}, which this needs"
    kind = AuthenticationFailed if status == 401 else StatusError
    return kind(message, None, {"role": role}, status_code=status, code="ROLE_MISSING")


def _is_same(origin: str, host: str) -> bool:
    """Whether a page's origin is this server, whatever the scheme: a proxy in front may have undone the TLS."""
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None:
        return False
    scheme, page = match[1], _HOST.fullmatch(match[2])
    server = _HOST.fullmatch(host.lower())
    if page is None or server is None:
        return False
    port = _PORTS[scheme]
    return (page[1].removesuffix("."), page[2] or port) == (server[1].removesuffix("."), server[2] or port)


def _answer_preflight(call: ServerRequest) -> EncodedResponse:
    """Let a browser send the request that it asks about; a page of an allowed origin may do what a program may."""
    headers: Headers = (
        ("Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE"),
        ("Access-Control-Allow-Headers", call.headers.get("access-control-request-headers", "*")),
        ("Access-Control-Max-Age", _MAX_AGE),
    )
    if "access-control-request-private-network" in call.headers:
        headers += (("Access-Control-Allow-Private-Network", "true"),)
    return EncodedResponse(204, headers, b"")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
