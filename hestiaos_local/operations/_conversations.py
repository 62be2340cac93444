"""Whose a session is: that of the API key by which its messages came. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hestiaos_local.execution import Message
from hestiaos_proto import NotFound

__all__ = ["history_for", "said_by"]

_KEY = "key"


def said_by(message: Message, key: str | None) -> Message:
    """A user's message with the name of the key, to be stored."""
    return message if key is None else {**message, _KEY: key}


def history_for(messages: Sequence[Message], session_id: str, key: str | None) -> list[Message]:
    """The stored messages of a session that goes on, as a model is sent them.

    Raises `NotFound` where one of them came by another key. What came by none, and who asks by none, are trusted: a
    platform in a program has no keys, and a server may have begun without.
    """
    if key is not None and any(message.get(_KEY, key) != key for message in messages):
        raise NotFound(f"the session {session_id!r} is not of this API key: begin another", code="SESSION_NOT_FOUND")
    return [{name: value for name, value in message.items() if name != _KEY} for message in messages]
