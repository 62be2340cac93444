"""Models that remember what they were asked, and platforms that are asked in-process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anyio

from hestiaos_local import Platform
from hestiaos_local.execution import Output, Text, Work, function_executor
from hestiaos_local.flow import in_thread
from hestiaos_proto import StatusError, parse_request

__all__ = ["AGENT", "CHAT", "CHAT_STREAM", "RUN", "STREAM", "Model", "ask", "complete", "said", "text_of", "trace"]

RUN = "/api/v1/run"
STREAM = "/api/v1/run/stream"
CHAT = "/api/chat"
CHAT_STREAM = "/api/v1/chat/stream"
AGENT = "/api/agents/run"


class Model:
    """Says its outputs, a text by its characters, and remembers what it was asked, and whether it came to its end."""

    def __init__(self, *outputs: str | Output) -> None:
        self.outputs = outputs
        self.works: list[Work] = []
        self.log: list[str] = []
        self.executor = function_executor(self._say)

    def _say(self, work: Work) -> Iterator[Output]:
        self.works.append(work)
        try:
            for output in self.outputs:
                if isinstance(output, str):
                    yield from map(Text, output)
                else:
                    yield output
            self.log.append("ended")
        finally:
            self.log.append("closed")

    @property
    def asked(self) -> list[Any]:
        """The contents of the messages of the last work."""
        return [message["content"] for message in self.works[-1].messages]


def ask(platform: Platform, path: str, text: str = "go on", key: str | None = None, **more: Any) -> Any:
    body = {
        RUN: {"input": text},
        STREAM: {"input": text},
        CHAT: {"message": text},
        CHAT_STREAM: {"message": text},
        AGENT: {"agent_id": "a", "task": text},
    }
    headers = {} if key is None else {"idempotency-key": key}
    return platform.respond(parse_request("POST", path, headers, json.dumps(body[path] | more).encode()))


def trace(platform: Platform, trace_id: str) -> dict[str, Any]:
    answer = platform.respond(parse_request("GET", f"/api/governance/trace/{trace_id}", {}, b""))
    assert isinstance(answer, dict)
    return answer


def complete(platform: Platform, *messages: Any) -> tuple[list[Output], StatusError | None]:
    """What a completion gives, and what it raises after that."""
    given: list[Output] = []

    async def main() -> None:
        async for item in platform.complete(Work(messages=messages), in_thread):
            given.append(item)

    try:
        anyio.run(main)
    except StatusError as error:
        return given[1:], error
    return given[1:], None


def said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def text_of(outputs: list[Output]) -> str:
    """The text of outputs."""
    return "".join(output.text for output in outputs if isinstance(output, Text))
