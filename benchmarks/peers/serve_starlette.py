"""The same platform behind Starlette, on uvicorn with its compiled parts: httptools and uvloop."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hestiaos_local import Platform
from hestiaos_proto import encode_response, encode_stream_event, parse_request

platform = Platform()


async def respond(request: Request) -> Response:
    """What the platform answers."""
    call = parse_request(request.method, request.url.path, dict(request.headers), await request.body())
    result: Any = platform.answer(call)
    if call.operation == "run_stream":
        return StreamingResponse(_events(result), media_type="text/event-stream")
    response = encode_response(call.operation, result)
    return Response(response.body, response.status, media_type="application/json")


async def _events(events: Any) -> AsyncIterator[bytes]:
    for event in events:
        yield encode_stream_event(event)


def main(say: Callable[[str], None]) -> None:
    """Serve until killed; `say` is told the base URL."""
    routes = [Route(path, respond, methods=["POST"]) for path in ("/api/v1/run", "/api/v1/run/stream")]
    listener = socket.create_server(("127.0.0.1", 0))
    say("http://{}:{}".format(*listener.getsockname()))
    config = uvicorn.Config(
        Starlette(routes=routes), http="httptools", loop="uvloop", access_log=False, log_level="warning"
    )
    uvicorn.Server(config).run([listener])
