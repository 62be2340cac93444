"""Serve a platform on a TCP port with asyncio or trio, or as an ASGI application.

The TCP server does the I/O for `hestiaos_proto.ServerConnection`. A client that disconnects, or is too slow, ends only
its own connection.
"""

from hestiaos_local.serving._access import Access
from hestiaos_local.serving._asgi import ASGIApplication
from hestiaos_local.serving._environment import service_from_environment
from hestiaos_local.serving._listeners import ServeError
from hestiaos_local.serving._request_log import ServedRequest
from hestiaos_local.serving._server import serve
from hestiaos_local.serving._service import Service

__all__ = ["ASGIApplication", "Access", "ServeError", "ServedRequest", "Service", "serve", "service_from_environment"]


def __dir__() -> list[str]:
    return sorted(__all__)
