"""The work that an executor is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

__all__ = ["Message", "Work", "last_user_text", "message_text"]

Message = Mapping[str, Any]
"""One message of a conversation, in the form of OpenAI's chat completions: `role`, `content` and what belongs to it."""


@frozen(kw_only=True)
class Work:
    """One execution, as its executor sees it.

    `model` is the name that the caller asked for, `None` for the executor's own choice. `tools` are the definitions of
    the tools that may be called, in OpenAI's form. `options` are further fields for the model server (`temperature`,
    `grammar` …). `timeout` is in seconds and holds over the whole execution. `trace_id` names it. `redact` replaces in
    what an error quotes of a model what its caller must not see, which comes before any shortening.
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
    """The text of a message; where its content comes in parts, that of the text parts, a line each."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def last_user_text(messages: Sequence[Message]) -> str:
    """The text of the newest message of the user; `""` where there is none."""
    return next((message_text(each) for each in reversed(messages) if each.get("role") == "user"), "")
