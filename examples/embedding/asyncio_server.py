"""A server with a small platform of its own, on `asyncio.start_server`; it prints its base URL.

Usage: python asyncio_server.py 8000    (a port; 0 takes a free one)
"""

import asyncio
import contextlib
import sys
from collections.abc import Iterator

import hestiaos_proto
from hestiaos_proto import Control, NotFound, RunResponse, ServerConnection, StreamEvent

SECRETS = {"greeting": "hello"}


def respond(call: hestiaos_proto.ServerRequest) -> Iterator[hestiaos_proto.ServerItem]:
    """What to send: one result, one exception, or events up to `done`."""
    if call.refusal is not None:
        yield call.refusal
    elif call.operation == "run":
        yield RunResponse(call.arguments["input"].upper(), "t-1", None, "ALLOW", 1.0, 0.0)
    elif call.operation == "run_stream":
        yield StreamEvent("start", {}, "t-1")
        for letter in call.arguments["input"].upper():
            yield StreamEvent("token", {"text": letter}, "t-1")
        yield StreamEvent("final", {}, "t-1")
        yield StreamEvent("done", {}, "t-1")
    elif call.operation == "get_secret":
        yield SECRETS.get(call.arguments["key"]) or NotFound("there is no such secret")
    else:
        yield NotFound(f"there is no {call.operation} here")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = ServerConnection()
    with contextlib.closing(writer), contextlib.suppress(ConnectionError):  # the client may leave at any time
        while not connection.must_close and (data := await reader.read(65536)):
            connection.receive_data(data)
            try:
                for call in connection.events():
                    for item in respond(call):
                        writer.write(connection.send(item))
                        await writer.drain()
            except hestiaos_proto.RemoteProtocolError as error:  # what arrived is not HTTP
                writer.write(connection.send(error))
            if connection.expects_continue:
                writer.write(connection.send(Control.CONTINUE))


async def main(port: int) -> None:
    async with await asyncio.start_server(serve, "127.0.0.1", port) as server:
        print("http://{}:{}".format(*server.sockets[0].getsockname()), flush=True)
        await server.serve_forever()


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main(int(sys.argv[1] if sys.argv[1:] else sys.exit(__doc__))))
