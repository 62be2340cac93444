"""The bytes of a request: a plain one is written here, any other by h11, which validates it."""

from __future__ import annotations

import re

import h11

from hestiaos_proto._client_messages import Request
from hestiaos_proto._connection.heads import MAX_HEAD_SIZE
from hestiaos_proto._connection.plain_heads import FIELD_NAME

__all__ = ["write_by_h11", "write_plain"]

# Not plain: headers of the framing, which are ours, and those that change what follows the request.
_PLAIN_HEAD = re.compile(
    r"(?:GET|POST|PUT|PATCH|DELETE) [!-~]+ HTTP/1\.1\r\nHost: [!-~]+\r\n"
    r"(?:(?!(?i:connection|content-length|expect|host|transfer-encoding|upgrade):)"
    rf"{FIELD_NAME}: (?:[!-~]++(?:[\t ]++[!-~]++)*+)?\r\n)*+"
)


def write_plain(request: Request) -> bytes | None:
    """Return the bytes that h11 would write for the request, or `None` if it is unusual and h11 has to write it."""
    headers = "".join([f"{name}: {value}\r\n" for name, value in request.headers.items()])
    head = f"{request.method} {request.target} HTTP/1.1\r\nHost: {request.host}\r\n{headers}"
    # A value with a line end would add a line that looks plain, so the lines are counted.
    if head.count("\n") != 2 + len(request.headers) or _PLAIN_HEAD.fullmatch(head) is None:
        return None
    if not request.body:
        return f"{head}\r\n".encode("ascii")
    return f"{head}Content-Length: {len(request.body)}\r\n\r\n".encode("ascii") + request.body


def write_by_h11(request: Request) -> tuple[bytes, h11.Connection]:
    """Return the bytes of the request, and the h11 connection for its response. Raises `h11.LocalProtocolError`."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_SIZE)
    headers = [("Host", request.host), *request.headers.items()]
    if request.body:
        headers.append(("Content-Length", str(len(request.body))))
    data = connection.send(h11.Request(method=request.method, target=request.target, headers=headers))
    if request.body:
        data += connection.send(h11.Data(data=request.body))
    return data + connection.send(h11.EndOfMessage()), connection
