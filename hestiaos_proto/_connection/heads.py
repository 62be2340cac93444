"""The bounds of the head of a message, its first line and its headers."""

from __future__ import annotations

import h11

from hestiaos_proto._config import MAX_HEAD_SIZE

__all__ = ["MAX_HEAD_SIZE", "head_size"]


def head_size(head: h11.Response) -> int:
    """Return the size of a response's head on the wire, in bytes, as near as the parsed head shows."""
    line = len(head.reason) + len("HTTP/1.1 200 \r\n")
    return line + sum(len(name) + len(value) + len(": \r\n") for name, value in head.headers) + len("\r\n")
