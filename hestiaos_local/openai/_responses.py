"""Encode responses to OpenAI clients (OpenAI's API, "The chat completion object" and "… chunk object")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hestiaos_local.execution import Output, Text, ToolCall, Usage
from hestiaos_local.openai._error_bodies import error_body
from hestiaos_proto import GovernanceBlock, StatusError, json

__all__ = ["ChunkEncoder", "encode_completion", "encode_models"]

_DONE = b"data: [DONE]\n\n"


def encode_models(names: Iterable[str], *, created: int, owner: str = "hestiaos") -> bytes:
    """Encode the response to `GET /v1/models`. `created` is in seconds since 1970."""
    models = [{"id": name, "object": "model", "created": created, "owned_by": owner} for name in names]
    return json.dumps({"object": "list", "data": models})


def encode_completion(outputs: Iterable[Output], *, id: str, model: str, created: int) -> bytes:
    """Encode outputs as a completion without streaming. `created` is in seconds since 1970."""
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    body: dict[str, Any] = {"id": id, "object": "chat.completion", "created": created, "model": model}
    reason: str = "stop"
    usage: dict[str, int] | None = None
    for output in outputs:
        match output:
            case Text(text):
                texts.append(text)
            case ToolCall():
                calls.append(_call(output))
            case Usage():
                usage = _usage(output)
            case _:
                reason = output.reason
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts or not calls else None}
    if calls:
        message["tool_calls"] = calls
    body["choices"] = [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}]
    return json.dumps(body if usage is None else body | {"usage": usage})


class ChunkEncoder:
    """Encodes outputs as the chunks of a streamed completion.

    `created` is in seconds since 1970. With `include_usage` (of the request's `stream_options`), a chunk before the end
    has the usage, and `usage` is null in the others.
    """

    def __init__(self, *, id: str, model: str, created: int, include_usage: bool = False) -> None:
        self._head = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._include_usage = include_usage
        # The JSON around a text is always the same, so it is encoded once.
        self._before_text, self._after_text = self._chunk({"content": ""}).rsplit(b'""', 1)
        self._calls = 0
        self._usage: Usage | None = None

    def start(self) -> bytes:
        """Encode the first chunk, which has the role."""
        return self._chunk({"role": "assistant", "content": ""})

    def send(self, output: Output) -> bytes:
        """Encode the next output. `Finish` ends the stream."""
        match output:
            case Text(text):
                return self._before_text + json.dumps(text) + self._after_text
            case ToolCall():
                call = {"index": self._calls} | _call(output)
                self._calls += 1
                return self._chunk({"tool_calls": [call]})
            case Usage():
                self._usage = output
                return b""
            case _:
                return self._chunk({}, output.reason) + self._usage_chunk() + _DONE

    def fail(self, error: StatusError) -> bytes:
        """Encode the end of a failed stream: an error, preceded by the finish reason `content_filter` for a block."""
        blocked = self._chunk({}, "content_filter") if isinstance(error, GovernanceBlock) else b""
        return blocked + _event(error_body(error)) + _DONE

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        body = self._head | {"choices": [choice]}
        return _event(body | {"usage": None} if self._include_usage else body)

    def _usage_chunk(self) -> bytes:
        if not self._include_usage or self._usage is None:
            return b""
        return _event(self._head | {"choices": [], "usage": _usage(self._usage)})


def _event(body: dict[str, Any]) -> bytes:
    # Like `encode_event`, without its search for line ends, which compact JSON does not have.
    return b"data: " + json.dumps(body) + b"\n\n"


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _usage(usage: Usage) -> dict[str, int]:
    total = usage.prompt_tokens + usage.completion_tokens
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": total,
    }
