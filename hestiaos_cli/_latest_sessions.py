"""The latest conversation with each server by each API key, for `chat --continue`.

A session belongs to the key that began it. A key is told from the user's others by two bytes of its SHA-256: too few to
confirm a guess by.
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from hestiaos_cli._places import data_directory

if TYPE_CHECKING:
    from hestiaos_cli._settings import Settings

__all__ = ["latest_session", "remember_session"]


def latest_session(settings: Settings) -> str | None:
    """Return the id of the latest session with the settings' server and key."""
    found = _read().get(_name(settings))
    return found if isinstance(found, str) else None


def remember_session(settings: Settings, session_id: str) -> None:
    """Store this session as the latest."""
    sessions = _read()
    if sessions.get(_name(settings)) == session_id:
        return
    sessions[_name(settings)] = session_id
    path = _path()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        json.dump(sessions, file)
    os.replace(file.name, path)


def _path() -> Path:
    return data_directory() / "sessions.json"


def _name(settings: Settings) -> str:
    server = settings.server
    assert server is not None, "a client has one"
    if server.local:
        return "--local"
    if server.api_key is None:
        return server.url
    return f"{server.url} {sha256(server.api_key.encode()).hexdigest()[:4]}"


def _read() -> dict[str, object]:
    try:
        content = json.loads(_path().read_text("utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):  # what cannot be read is ignored: it is a convenience
        return {}
    return content if isinstance(content, dict) else {}
