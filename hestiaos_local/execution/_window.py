"""Select the part of a chat's history that is sent to the model. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hestiaos_local.execution._usage import estimate_tokens
from hestiaos_local.execution._work import Message, message_text
from hestiaos_proto import json

__all__ = ["MESSAGE_TOKENS", "history_window"]

MESSAGE_TOKENS = 4
"""The tokens of each message besides its text, for the role and separators that a chat template adds."""

_OPENING = ("system", "developer")


def history_window(messages: Sequence[Message], *, max_tokens: int, max_messages: int) -> list[Message]:
    """Return the messages to send to the model, in order:

    1. Always the system and developer messages at the beginning.
    2. The newest turns that fit completely. A turn is a message of the user and everything up to the next one, so no
       answer is sent without its question, and no tool result without its call.
    3. Always the newest turn, whatever its size.

    A message counts `estimate_tokens` of its text and tool calls plus `MESSAGE_TOKENS`, including those of 1. The first
    turn that does not fit ends the window, so that there is no gap.
    """
    opening = next((index for index, each in enumerate(messages) if each.get("role") not in _OPENING), len(messages))
    room, places = max_tokens - sum(map(_tokens, messages[:opening])), max_messages - opening
    start = end = len(messages)
    while end > opening:
        begin = next((i for i in range(end - 1, opening, -1) if messages[i].get("role") == "user"), opening)
        room -= sum(map(_tokens, messages[begin:end]))
        places -= end - begin
        if start < len(messages) and (room < 0 or places < 0):
            break
        start = end = begin
    return [*messages[:opening], *messages[start:]]


def _tokens(message: Message) -> int:
    calls = message.get("tool_calls")
    return MESSAGE_TOKENS + estimate_tokens(message_text(message) + (json.dumps(calls).decode() if calls else ""))
