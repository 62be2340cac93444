"""The head of a message, its first line and its headers: how large it may be, and what is told of a wrong one."""

from __future__ import annotations

import re
from typing import NamedTuple

import h11

from hestiaos_proto.config import MAX_HEAD_SIZE

__all__ = ["MAX_HEAD_SIZE", "MAX_PLAIN_HEAD", "PlainHead", "head_size", "plain_head", "unquoted"]

MAX_PLAIN_HEAD = 16 * 1024
"""How large a plain head may be, in bytes."""

_QUOTED = re.compile(r""":? *(bytearray\()?b['"].*""", re.DOTALL)
# Visible ASCII, spaces and tabs alone; no line is folded or ends with a bare CR or LF. Possessive, so that it never
# tries a line twice.
_PLAIN_HEAD = re.compile(
    rb"HTTP/1\.1 ([1-5][0-9]{2})(?: [\t -~]*+)?\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[\t -~]*+\r\n)*+)\r\n"
)
_MAX_DIGITS = 15  # of a plain Content-Length
_BODILESS = frozenset({204, 304})  # whatever their headers say (RFC 9112, section 6.3)


class PlainHead(NamedTuple):
    """A response's head about which no two HTTP/1.1 parsers disagree."""

    status: int
    headers: list[tuple[bytes, bytes]]  # the names in lower case
    length: int | None  # of the body, in bytes; `None` where it is chunked
    keep_alive: bool


def plain_head(head: bytes | bytearray) -> PlainHead | None:
    """The head of a response, up to its blank line; `None` where it has anything unusual, for h11 to judge.

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
        name, value = name.lower(), value.strip(b" \t")
        if name == b"content-length":
            if not value.isdigit() or len(value) > _MAX_DIGITS:
                return None
            framing, length = framing + 1, int(value)
        elif name == b"transfer-encoding":
            if value != b"chunked":
                return None
            framing += 1
        elif name == b"connection":
            option = value.lower()
            if option not in (b"keep-alive", b"close"):
                return None
            keep_alive = keep_alive and option == b"keep-alive"
        headers.append((name, value))
    if framing != (status >= 200) or status in _BODILESS:
        return None
    return PlainHead(status, headers, length, keep_alive)


def head_size(head: h11.Request | h11.Response) -> int:
    """The size of a message's head on the wire, in bytes, as near as the parsed head tells."""
    if isinstance(head, h11.Request):
        line = len(head.method) + len(head.target) + len("  HTTP/1.1\r\n")
    else:
        line = len(head.reason) + len("HTTP/1.1 200 \r\n")
    return line + sum(len(name) + len(value) + len(": \r\n") for name, value in head.headers) + len("\r\n")


def unquoted(error: h11.RemoteProtocolError) -> str:
    """What h11 says of a broken message, less what it quotes, which may be a key; in the exception too."""
    told = _QUOTED.sub("", str(error))
    error.args = (told,)
    return told
