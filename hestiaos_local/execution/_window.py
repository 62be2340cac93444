"""The window rule: which part of a chat's history goes to the model. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hestiaos_local.execution._usage import estimate_tokens
from hestiaos_local.execution._work import Message, message_text
from hestiaos_proto import json

__all__ = ["MESSAGE_TOKENS", "history_window"]

MESSAGE_TOKENS = 4
"""What each message counts besides its text: a chat template puts its role and marks around it."""

_OPENING = ("system", "developer")


def history_window(messages: Sequence[Message], *, max_tokens: int, max_messages: int) -> list[Message]:
    """The messages that the model is sent, in their order:

    1. the system and developer messages at the beginning always,
    2. of the others the newest turns that fit whole, a turn being a message of the user and all that follows it up to
       the next one. So no answer is sent without its question, and no tool's result without its call.
    3. The newest turn is always sent, whatever its size.

    A message counts `estimate_tokens` of its text and tool calls and `MESSAGE_TOKENS`; those of 1. count too. A turn
    that does not fit ends the window: nothing older is sent, so that there is no gap.
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
