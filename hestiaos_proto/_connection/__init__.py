"""HTTP/1.1 over h11, bytes in and bytes out."""

from hestiaos_proto._connection.chunks import ChunkDecoder, HeadScanner
from hestiaos_proto._connection.client import ClientConnection
from hestiaos_proto._connection.server import ServerConnection, ServerItem
from hestiaos_proto._connection.states import CLIENT_STATES, SERVER_STATES, ConnectionState

__all__ = [
    "CLIENT_STATES",
    "SERVER_STATES",
    "ChunkDecoder",
    "ClientConnection",
    "ConnectionState",
    "HeadScanner",
    "ServerConnection",
    "ServerItem",
]
