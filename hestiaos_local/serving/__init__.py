"""Serves a platform on a TCP port, on asyncio or trio.

It carries the bytes of `ServerConnection`. A client that has gone, or lets the server wait, ends its own connection.
"""

from hestiaos_local.serving._listeners import ServeError
from hestiaos_local.serving._server import serve

__all__ = ["ServeError", "serve"]


def __dir__() -> list[str]:
    return sorted(__all__)
