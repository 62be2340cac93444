"""The dashboard: static files, without any data of the server. They call the API with the user's key."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pkgutil import get_data

from hestiaos_local.serving._resources import PAGES
from hestiaos_proto import EncodedResponse, ServerRequest, encode_json

__all__ = ["respond_page"]

# Content Security Policy Level 3: scripts, styles and data from this server only, and no text is parsed as HTML.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)


def respond_page(call: ServerRequest) -> EncodedResponse:
    """Return the response to a request for one of `PAGES`, a 304 if the client has the current version."""
    page = _page(call.resource or "")
    asked = {each.strip().removeprefix("W/") for each in call.headers.get("if-none-match", "").split(",")}
    tag = dict(page.headers)["ETag"]
    if asked.isdisjoint({tag, "*"}):
        return page
    headers = tuple(header for header in page.headers if not header[0].startswith("Content-L"))
    return EncodedResponse(304, headers, b"")  # RFC 9110, section 15.4.5


@cache
def _page(path: str) -> EncodedResponse:
    file, media_type = PAGES[path]
    body = get_data("hestiaos_local.serving", f"dashboard/{file}")
    assert body is not None, "the file is part of this package"
    server, _, _ = encode_json(None).headers
    headers = (
        server,
        ("Content-Type", media_type),
        ("Content-Length", str(len(body))),
        ("Content-Security-Policy", _POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-cache"),  # revalidate, since the files change with the server's version
        ("ETag", f'"{sha256(body).hexdigest()[:32]}"'),
    )
    return EncodedResponse(200, headers, body)
