"""Heads of responses about which no two HTTP/1.1 parsers disagree; h11 takes 30 times as long for them."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["BLANK_LINE", "FIELD_NAME", "MAX_PLAIN_HEAD", "PlainHead", "plain_head"]

MAX_PLAIN_HEAD = 16 * 1024
"""How large a plain head may be, in bytes."""

BLANK_LINE = b"\r\n\r\n"
FIELD_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
"""A header's name (RFC 9110, section 5.6.2), as a regular expression."""

# Visible ASCII and spaces alone; no line is folded, or ends with a space, or with CR or LF alone. Possessive, so that
# no line is tried twice.
_PLAIN_HEAD = re.compile(
    rf"HTTP/1\.1 ([1-5][0-9]{{2}})(?: [ -~]*+)?\r\n((?:{FIELD_NAME}:[ -~]*+(?<! )\r\n)*+)\r\n".encode()
)
_MAX_DIGITS = 15  # of a plain Content-Length
_BODILESS = frozenset({204, 304})  # whatever their headers say (RFC 9112, section 6.3)


class PlainHead(NamedTuple):
    """A response's head about which no two HTTP/1.1 parsers disagree."""

    status_code: int
    headers: list[tuple[bytes, bytes]]  # the names in lower case
    length: int | None  # of the body, in bytes; `None` if it is chunked
    keep_alive: bool


def plain_head(head: bytes | bytearray) -> PlainHead | None:
    """Parse a response's head, up to its blank line. Return `None` if anything is unusual and h11 has to parse it.

    Plain is HTTP/1.1 in ASCII with exactly one of `Content-Length` and `Transfer-Encoding: chunked`, or an interim
    response (RFC 9110, section 15.2) with none.
    """
    if len(head) > MAX_PLAIN_HEAD or (match := _PLAIN_HEAD.fullmatch(head)) is None:
        return None
    status, lines = int(match[1]), match[2]
    headers: list[tuple[bytes, bytes]] = []
    framing, length, keep_alive = 0, None, True
    for line in lines.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.lstrip(b" ")
        if name == b"content-length":
            if not value.isdigit() or len(value) > _MAX_DIGITS:
                return None
            framing, length = framing + 1, int(value)
        elif name == b"transfer-encoding":
            if value != b"chunked":
                return None
            framing += 1
        elif name.endswith(b"connection"):  # some parsers heed Proxy-Connection too
            option = value.lower()
            if name != b"connection" or option not in (b"keep-alive", b"close"):
                return None
            keep_alive = keep_alive and option == b"keep-alive"
        headers.append((name, value))
    if framing != (status >= 200) or status in _BODILESS:
        return None
    return PlainHead(status, headers, length, keep_alive)
