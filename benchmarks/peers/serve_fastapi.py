"""The same platform behind FastAPI and sse-starlette, on uvicorn as it is plainly installed: pure Python."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sse_starlette import EventSourceResponse

from hestiaos_local import Platform
from hestiaos_proto import RunResponse, ServerRequest

app = FastAPI()
platform = Platform()


class RunContext(BaseModel):
    """Where a run belongs."""

    session_id: str | None = None
    agent_id: str | None = None
    mode_hint: str | None = None


class RunOptions(BaseModel):
    """How it is to be done."""

    timeout_ms: int = 30000
    stream: bool = False


class RunRequest(BaseModel):
    """A run, as the wire has it."""

    input: str
    context: RunContext
    options: RunOptions

    def call(self, operation: str) -> ServerRequest:
        """The same for the platform."""
        arguments = {"input": self.input, "timeout_ms": self.options.timeout_ms, **self.context.model_dump()}
        return ServerRequest(operation, arguments, {})


class RunAnswer(BaseModel):
    """What a run came to, as the wire has it."""

    result: str
    output: str | None
    mode: str
    budget: float
    trace_id: str
    latency_ms: float


@app.post("/api/v1/run")
async def run(request: RunRequest) -> RunAnswer:
    """One run."""
    response = platform.answer(request.call("run"))
    assert isinstance(response, RunResponse), "a refusal is raised"
    return RunAnswer(**response.to_wire())


@app.post("/api/v1/run/stream")
async def run_stream(request: RunRequest) -> EventSourceResponse:
    """One run, as a stream."""
    return EventSourceResponse(_events(platform.answer(request.call("run_stream"))))


async def _events(events: Any) -> AsyncIterator[dict[str, str]]:
    for event in events:
        yield {"data": json.dumps(event.to_wire(), separators=(",", ":"))}


def main(say: Callable[[str], None], **options: Any) -> None:
    """Serve until killed; `say` is told the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings: dict[str, Any] = {"http": "h11", "loop": "asyncio", "access_log": False, "log_level": "warning"}
    say("http://{}:{}".format(*listener.getsockname()))
    uvicorn.Server(uvicorn.Config(app, **settings | options)).run([listener])
