"""Access control of a served platform, decided by a request's head before its body is read."""

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

NOT_LOCAL = "without an API key this server accepts requests from this machine only, to localhost or an IP address"
_OTHER_ORIGIN = "this server does not accept requests from web pages of this origin: allow it with --allow-origin"
_MAX_AGE = "600"  # seconds for which a browser remembers the response to a preflight


def _origins(origins: Iterable[str]) -> frozenset[str]:
    if isinstance(origins, str):
        raise TypeError("allow_origins must be a collection of origins, not one str")
    return frozenset(map(_normal_origin, origins))


def _normal_origin(origin: str) -> str:
    match = _ORIGIN.fullmatch(origin.lower().removesuffix("/"))
    if match is None:
        raise ValueError(f"an origin must have the form scheme://host[:port], not {origin!r}")
    return f"{match[1]}://{match[2].removesuffix(':' + _PORTS[match[1]])}"


@frozen
class Access:
    """Decides which requests are accepted.

    With `keys`, a request needs one of them with a role for its operation; `health` and the OpenAPI document need none.
    Without `keys`, only programs on this machine are accepted. The Host must then be an IP address, `localhost` or
    `host`, the name that is served: any other is sent by a web page whose name was made to resolve to loopback (DNS
    rebinding). In both cases, a web page of another origin is accepted only if `allow_origins` contains that origin
    (the Fetch standard, "CORS protocol").
    """

    keys: Keys | None = field(repr=False)
    host: str = "localhost"
    allow_origins: frozenset[str] = field(default=frozenset(), converter=_origins)

    def judge(self, call: ServerRequest) -> StatusError | EncodedResponse | None:
        """Return the refusal of a request, or its response if the head suffices. Return None if it is accepted."""
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
        """Return the key of a request, the refusal if a required key is missing, or None if no key is required."""
        if self.keys is None:
            return None
        key = None if call.key is None else self.keys.find(call.key)
        if call.operation == OPEN_OPERATION or call.resource in OPEN_RESOURCES:
            return key
        if key is None:
            return AuthenticationFailed()
        return _check_role(key, call) or key

    def headers(self, call: ServerRequest) -> Headers:
        """Return the CORS headers of a response, which are empty unless the request is from an allowed origin."""
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
    """Return the refusal of a key without a role for the request, or None.

    The status is 401 (RFC 9110, section 15.5.2: "authorization has been refused for those credentials"), since in this
    protocol a 403 means that governance has blocked. The front door for OpenAI's clients uses 403.
    """
    roles = roles_for(call.operation or call.resource or "")
    if any(map(key.may, roles)) or call.refusal is not None:
        return None
    role = roles[0]
    status = 403 if call.resource in (COMPLETIONS, MODELS) else 401
    message = f"the API key {key.name!r} does not have the role {role!r}, which this request needs"
    kind = AuthenticationFailed if status == 401 else StatusError
    return kind(message, None, {"role": role}, status_code=status, code="ROLE_MISSING")


def _is_same(origin: str, host: str) -> bool:
    """Return whether a page's origin is this server. Schemes are not compared, as a proxy may terminate TLS."""
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
    """Build the response to a preflight request. A page of an allowed origin may do whatever a program may."""
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
