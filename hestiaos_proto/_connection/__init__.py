"""HTTP/1.1 over h11, bytes in and bytes out."""

from hestiaos_proto._connection.chunks import ChunkDecoder, HeadScanner
from hestiaos_proto._connection.client import ClientConnection, ConnectionState
from hestiaos_proto._connection.server import Control, ServerConnection

__all__ = ["ChunkDecoder", "ClientConnection", "ConnectionState", "Control", "HeadScanner", "ServerConnection"]
