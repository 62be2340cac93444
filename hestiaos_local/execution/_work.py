"""The work for an executor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

__all__ = ["Message", "Work", "last_user_text", "message_text"]

Message = Mapping[str, Any]
"""One message of a conversation, in the format of OpenAI's chat completions: `role`, `content` and other fields."""


@frozen(kw_only=True)
class Work:
    """One execution, as passed to its executor.

    `model` is the requested name, None for the executor's default. `tools` are the definitions of the callable tools,
    in OpenAI's format. `options` are additional fields for the model server (`temperature`, `grammar` …). `timeout` is
    in seconds, for the whole execution. `trace_id` identifies it. `redact` is applied to what an error quotes of a
    model, before it is shortened.
    """

    messages: Sequence[Message] = field(repr=False)
    model: str | None = None
    tools: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    options: Mapping[str, Any] = field(factory=dict, repr=False)
    max_tokens: int | None = None
    timeout: float | None = None
    trace_id: str = ""
    redact: Callable[[str], str] = field(default=str, repr=False, eq=False)


def message_text(message: Message) -> str:
    """Return the text of a message. If its content has several parts, the text parts are joined by line breaks."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def last_user_text(messages: Sequence[Message]) -> str:
    """Return the text of the user's last message, or an empty string."""
    return next((message_text(each) for each in reversed(messages) if each.get("role") == "user"), "")
