"""Redact the messages that are sent to a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve

from hestiaos_local.execution import Message, Work, with_texts
from hestiaos_local.governance import Redaction, TextRedactor

__all__ = ["redacted_work"]


def redacted_work(
    messages: Sequence[Message], prepare: Callable[[Sequence[Message]], Work], redactor: TextRedactor
) -> tuple[Work, list[Redaction]]:
    """Create the work from the messages by `prepare`, redact its texts, and return it with the redactions made."""
    redactions: list[Redaction] = []

    def redacted(text: str) -> str:
        text, found = redactor.redact(text)
        redactions.extend(found)
        return text

    work = prepare([with_texts(message, redacted) for message in messages])
    if not work.tools and not work.options:
        return work, redactions
    return evolve(
        work,
        tools=[with_texts(tool, redacted) for tool in work.tools],
        options={name: with_texts(value, redacted) for name, value in work.options.items()},
    ), redactions
