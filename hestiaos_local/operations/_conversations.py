"""Sessions belong to the API key that sent their messages. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from hestiaos_local.execution import Message
from hestiaos_proto import NotFound

__all__ = ["history_for", "said_by"]

_KEY = "key"


def said_by(message: Message, key: str | None) -> Message:
    """Return a user's message with the name of the key, to be stored."""
    return message if key is None else {**message, _KEY: key}


def history_for(messages: Sequence[Message], session_id: str, key: str | None) -> list[Message]:
    """Return the stored messages of a session, as they are sent to a model.

    Raises `NotFound` if one of them was sent with another key. Messages and callers without a key are trusted: an
    in-process platform has no keys, and a server may have been started without keys before.
    """
    if key is not None and any(message.get(_KEY, key) != key for message in messages):
        raise NotFound(
            f"the session {session_id!r} belongs to another API key: begin a new one", code="SESSION_NOT_FOUND"
        )
    return [{name: value for name, value in message.items() if name != _KEY} for message in messages]
