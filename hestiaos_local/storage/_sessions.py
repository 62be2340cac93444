"""The tables of sessions and their messages."""

from __future__ import annotations

from collections.abc import Iterable

from hestiaos_local.storage._database import Database
from hestiaos_local.storage._records import Message, Session
from hestiaos_local.storage._retention import count_kept
from hestiaos_proto import json

__all__ = ["Sessions"]

_ALL = 2**62  # rows


class Sessions:
    """The sessions stored in `database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_messages(self, session_id: str, messages: Iterable[Message], now: float) -> None:
        """Append messages to a session, which is created if it does not exist."""
        texts = [json.dumps(dict(message)) for message in messages]
        size = sum(map(len, texts))
        with self._database.write(f"session {session_id}") as db:
            known = db.execute(
                "UPDATE sessions SET last_used = ?, messages = messages + ?, size = size + ? WHERE session_id = ?",
                (now, len(texts), size, session_id),
            ).rowcount
            if not known:
                db.execute(
                    "INSERT INTO sessions (session_id, last_used, messages, size) VALUES (?, ?, ?, ?)",
                    (session_id, now, len(texts), size),
                )
            db.executemany(
                "INSERT INTO messages (session_id, message) VALUES (?, ?)",
                [(session_id, text.decode()) for text in texts],
            )
            count_kept(db, self._database.chain, "sessions", 1 - known, size)

    def messages(self, session_id: str, last: int | None) -> list[Message]:
        """Return the messages of a session in order: all, or the last `last`."""
        with self._database.read() as db:
            rows = db.execute(
                "SELECT message FROM messages WHERE session_id = ? ORDER BY number DESC LIMIT ?",
                (session_id, _ALL if last is None else max(0, last)),
            ).fetchall()
        return [json.loads(message.encode()) for (message,) in reversed(rows)]

    def get(self, session_id: str) -> Session | None:
        """Return the session with this id, or None if there is none."""
        with self._database.read() as db:
            row = db.execute(
                "SELECT session_id, last_used, messages FROM sessions WHERE session_id = ?", (session_id,)
            ).fetchone()
        return None if row is None else Session(*row)

    def page(self, limit: int, after: Session | None) -> list[Session]:
        """Return up to `limit` sessions, most recently used first, starting after the session `after`."""
        before = (float("inf"), "") if after is None else (after.last_used, after.session_id)
        with self._database.read() as db:
            rows = db.execute(
                "SELECT session_id, last_used, messages FROM sessions WHERE (last_used, session_id) < (?, ?) "
                "ORDER BY last_used DESC, session_id DESC LIMIT ?",
                (*before, limit),
            ).fetchall()
        return [Session(*row) for row in rows]

    def delete(self, session_id: str) -> bool:
        """Delete a session and its messages. Return False if there was none."""
        size = f"SELECT size FROM sessions WHERE session_id = ? {self._database.dialect.for_update}"
        with self._database.write(f"session {session_id}") as db:
            row = db.execute(size, (session_id,)).fetchone()
            if row is None:
                return False
            db.execute("DELETE FROM messages WHERE session_id = ?", (session_id,))
            db.execute("DELETE FROM sessions WHERE session_id = ?", (session_id,))
            count_kept(db, self._database.chain, "sessions", -1, -row[0])
        self._database.truncate_log()
        return True

    def active(self, since: float) -> int:
        """Count the sessions used since this time."""
        with self._database.read() as db:
            count: int = db.execute("SELECT count(*) FROM sessions WHERE last_used >= ?", (since,)).fetchone()[0]
        return count
