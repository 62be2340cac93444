"""Chat completions as model servers send them, and what is read of them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hestiaos_local.execution import Output, Text
from hestiaos_local.openai import CompletionStream, completion_outputs
from hestiaos_proto import Redactor, StatusError

__all__ = ["DONE", "Reading", "call", "chunk", "done", "event", "plain", "read", "read_plain", "stream", "texts"]

DONE = b"data: [DONE]\n\n"

Reading = tuple[list[Output], StatusError | None]


def chunk(delta: Any = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk with one choice; `more` are further fields of the chunk."""
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], **more}


def call(index: int | None = None, id: str | None = None, name: str | None = None, arguments: Any = None) -> Any:
    """A delta of a tool call, with the fields that are given."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    fields = {"index": index, "id": id, "function": function or None}
    return {key: value for key, value in fields.items() if value is not None}


def event(value: Any) -> bytes:
    """An event; of a text, its data."""
    data = value if isinstance(value, str) else json.dumps(value)
    return b"data: " + data.encode() + b"\n\n"


def stream(*values: Any) -> bytes:
    """The events of a stream without its end."""
    return b"".join(map(event, values))


def done(*values: Any) -> bytes:
    """The whole of a stream."""
    return stream(*values) + DONE


def plain(message: Any, finish: str | None = "stop", **more: Any) -> bytes:
    """The body of a plain response."""
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], **more}).encode()


def read(data: bytes | Iterable[bytes], machine: CompletionStream | None = None) -> Reading:
    """What a stream gives, and what it raises after that. The end of the connection comes last."""
    machine = machine or CompletionStream(redactor=Redactor("sk-4711"))
    pieces = [data] if isinstance(data, bytes) else data
    outputs: list[Output] = []
    try:
        for piece in [*filter(None, pieces), b""]:
            machine.receive_data(piece)
            for output in machine.events():
                outputs.append(output)
    except StatusError as error:
        return outputs, error
    return outputs, None


def read_plain(body: bytes) -> Reading:
    """What a plain response gives, and what it raises after that."""
    outputs: list[Output] = []
    try:
        for output in completion_outputs(body, redactor=Redactor("sk-4711")):
            outputs.append(output)
    except StatusError as error:
        return outputs, error
    return outputs, None


def texts(outputs: Iterable[Output]) -> str:
    """The text of outputs."""
    return "".join(output.text for output in outputs if isinstance(output, Text))
