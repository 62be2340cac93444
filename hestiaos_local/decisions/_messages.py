"""The messages that a model is sent, redacted by the policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import evolve

from hestiaos_local.execution import Message, Work, with_texts
from hestiaos_local.governance import Redaction, TextRedactor

__all__ = ["redacted_work"]


def redacted_work(
    messages: Sequence[Message], prepare: Callable[[Sequence[Message]], Work], redactor: TextRedactor
) -> tuple[Work, list[Redaction]]:
    """The work that `prepare` makes of the messages, with what `redactor` replaces in each text, and what that was."""
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
