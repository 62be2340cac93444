"""An `asyncio.Protocol`: a stream as it comes, then a call over the same connection.

Usage: python asyncio_protocol.py http://localhost:8000
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from hestiaos_proto import ClientConnection, ConnectionLost, HestiaError, Operation, StreamEvent, operations


class HestiaProtocol(asyncio.Protocol):
    def __init__(self, base_url: str) -> None:
        self.connection = ClientConnection(base_url)
        self.arrived: asyncio.Queue[StreamEvent | HestiaError | None] = asyncio.Queue()

    def data_received(self, data: bytes) -> None:
        self.connection.receive_data(data)
        self.hand_on()

    def eof_received(self) -> None:
        self.data_received(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.connection.connection_lost(ConnectionLost(str(exc)))
            self.hand_on()

    def hand_on(self) -> None:
        try:
            for event in self.connection.events():
                self.arrived.put_nowait(event)
            if self.connection.finished:
                self.arrived.put_nowait(None)
        except HestiaError as error:
            self.arrived.put_nowait(error)

    async def exchange(self, transport: asyncio.Transport, operation: Operation[Any]) -> AsyncIterator[StreamEvent]:
        transport.write(self.connection.send(operation))
        while (item := await self.arrived.get()) is not None:
            if isinstance(item, HestiaError):
                raise item
            yield item


async def main(url: str) -> None:
    host, port = urlsplit(url).hostname or "localhost", urlsplit(url).port or 80
    transport, hestia = await asyncio.get_running_loop().create_connection(lambda: HestiaProtocol(url), host, port)
    async for event in hestia.exchange(transport, operations.run_stream("create a report")):
        print(event.type, event.data)
    assert [event async for event in hestia.exchange(transport, operations.health())] == []
    print(hestia.connection.result(operations.health()).status)
    transport.close()


asyncio.run(main(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__)))
