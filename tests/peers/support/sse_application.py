"""A HestiaOS server of Starlette and sse-starlette, which imports none of our own code.

A stream whose input begins with `step` sends its next token only when the client has stored that token's number as
the secret of the input's name. So a client that receives all of it received each event before the next one was made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PING = 0.05  # seconds between two of sse-starlette's comments
SEPARATORS = {"CR": "\r", "LF": "\n", "CRLF": "\r\n"}  # by session; sse-starlette's own choice is CRLF

secrets: dict[str, str] = {}
streams: set[object] = set()
changed = asyncio.Condition()


async def run(request: Request) -> Response:
    text, _ = await asked(request)
    return JSONResponse(ran(text))


async def run_stream(request: Request) -> Response:
    text, session = await asked(request)
    return EventSourceResponse(events(text), ping=PING, sep=SEPARATORS.get(session))


async def asked(request: Request) -> tuple[str, str]:
    """The input, and the session or `""`."""
    body = await request.json()
    text = str(body.get("input"))
    if text == "crash":
        raise RuntimeError("as asked for")
    if text == "invalid":
        raise HTTPException(422, [{"loc": ["body", "input"], "msg": "Field required", "type": "missing"}])  # type: ignore[arg-type]  # as FastAPI does
    return text, str(body.get("context", {}).get("session_id", ""))


def ran(text: str) -> dict[str, Any]:
    return {
        "result": f"processed: {text}",
        "output": text,
        "mode": "ALLOW",
        "budget": 1.0,
        "trace_id": "t-1",
        "latency_ms": 1,
    }


async def events(text: str) -> AsyncIterator[dict[str, Any]]:
    stream = object()
    streams.add(stream)
    try:
        yield event("start", {"mode": "ALLOW"})
        for index, word in enumerate(["processed: ", "ä \u2028", "end"]):
            if text.startswith("step"):
                async with changed:
                    await changed.wait_for(lambda index=index: secrets.get(text) == str(index))
            yield event("token", {"text": word})
        yield event("final", ran(text))
        yield event("done", {})
    finally:
        streams.discard(stream)
        async with changed:
            changed.notify_all()


def event(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    payload = {"type": kind, "data": data, "trace_id": "t-1", "timestamp": "2030-01-01T00:00:00Z"}
    return {"event": kind, "id": kind, "retry": 3000, "data": json.dumps(payload, ensure_ascii=False)}


async def health(request: Request) -> Response:
    return JSONResponse({"status": "ok", "version": "9", "uptime_seconds": 1, "api_version": "v1"})


async def set_secret(request: Request) -> Response:
    body = await request.json()
    async with changed:
        secrets[body["credential_ref"]] = body["secret"]
        changed.notify_all()
    return JSONResponse({"stored": True}, 201)


async def secret(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in secrets:
        raise HTTPException(404, "no such secret")
    if request.method == "DELETE":
        del secrets[name]
        return Response(status_code=204)
    return JSONResponse({"value": secrets[name]})


async def config(request: Request) -> Response:
    """What the server sees of the client's connection."""
    return JSONResponse({"port": request.client and request.client.port, "http_version": request.scope["http_version"]})


async def no_streams(request: Request) -> Response:
    """Answers once no stream is open."""
    async with changed:
        await changed.wait_for(lambda: not streams)
    return JSONResponse({"streams": 0})


async def refusal(request: Request, error: Exception) -> Response:
    """As FastAPI writes it."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code)


app = Starlette(
    routes=[
        Route("/api/v1/run", run, methods=["POST"]),
        Route("/api/v1/run/stream", run_stream, methods=["POST"]),
        Route("/api/v1/health", health),
        Route("/api/secrets", set_secret, methods=["POST"]),
        Route("/api/secrets/{name:path}", secret, methods=["GET", "DELETE"]),
        Route("/api/system/config", config),
        Route("/api/governance/stability", no_streams),
    ],
    exception_handlers={422: refusal, 404: refusal},
    middleware=[Middleware(GZipMiddleware, minimum_size=30)],
)
