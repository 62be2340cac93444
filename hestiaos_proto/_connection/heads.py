"""The head of a message, its first line and its headers: how large it may be, and what is told of a wrong one."""

from __future__ import annotations

import re

import h11

from hestiaos_proto._config import MAX_HEAD_SIZE

__all__ = ["MAX_HEAD_SIZE", "head_size", "unquoted"]

_QUOTED = re.compile(r""":? *(bytearray\()?b['"].*""", re.DOTALL)


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
