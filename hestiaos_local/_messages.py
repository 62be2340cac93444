"""Messages as a model is sent them: what the policy redacts in inputs is replaced."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hestiaos_local.execution import Message
from hestiaos_local.governance import Redaction, TextRedactor

__all__ = ["redact_messages"]


def redact_messages(messages: Iterable[Message], redactor: TextRedactor) -> tuple[list[Message], list[Redaction]]:
    """The messages with what `redactor` replaces in each text of theirs, and what was replaced."""
    redactions: list[Redaction] = []

    def redacted(text: str) -> str:
        text, found = redactor.redact(text)
        redactions.extend(found)
        return text

    def part(value: Any) -> Any:
        is_text = isinstance(value, dict) and isinstance(value.get("text"), str)
        return value | {"text": redacted(value["text"])} if is_text else value

    def content(value: Any) -> Any:
        if isinstance(value, str):
            return redacted(value)
        return [part(each) for each in value] if isinstance(value, list) else value

    return [
        {**message, "content": content(message["content"])} if "content" in message else message for message in messages
    ], redactions
