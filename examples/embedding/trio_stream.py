"""A trio TCP stream under the protocol, two of them at once. `hestiaos_trio` is the whole client of this kind.

Usage: python trio_stream.py http://localhost:8000
"""

import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import trio

from hestiaos_proto import ClientConnection, Operation, StreamEvent, operations


async def exchange(
    stream: trio.SocketStream, connection: ClientConnection, operation: Operation[Any]
) -> AsyncIterator[StreamEvent]:
    """Send an operation, and give its events as they come."""
    await stream.send_all(connection.send(operation))
    while not connection.finished:
        connection.receive_data(await stream.receive_some())
        for event in connection.events():
            yield event


async def report(base_url: str, name: str) -> None:
    url = urlsplit(base_url)
    connection = ClientConnection(base_url)
    async with await trio.open_tcp_stream(url.hostname or "localhost", url.port or 80) as stream:
        async for event in exchange(stream, connection, operations.run_stream(f"a report for {name}")):
            print(name, event.type, event.data)
        async for _ in exchange(stream, connection, operations.health()):
            pass
    print(name, connection.result(operations.health()).status)


async def main(base_url: str) -> None:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for name in ("first", "second"):
                nursery.start_soon(report, base_url, name)


trio.run(main, sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))
