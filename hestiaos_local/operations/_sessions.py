"""The operations on sessions: list, get and delete."""

from __future__ import annotations

from hestiaos_local.decisions import iso
from hestiaos_local.operations._answers import Answers, Arguments
from hestiaos_local.storage import Session, Storage
from hestiaos_proto import NotFound, SessionInfo

__all__ = ["session_operations"]


def session_operations(storage: Storage) -> Answers:
    """Return the operations on the sessions of a storage."""

    def list_sessions(arguments: Arguments, key: str | None) -> list[SessionInfo]:
        before = arguments["before"]
        after = None if before is None else _found(storage, before)
        return [_info(each) for each in storage.sessions(limit=arguments["limit"], after=after)]

    def get_session(arguments: Arguments, key: str | None) -> SessionInfo:
        session_id = arguments["session_id"]
        session = _found(storage, session_id)
        messages = storage.messages(session_id, last=arguments["last"])
        return _info(session, [dict(message) for message in messages])

    def delete_session(arguments: Arguments, key: str | None) -> None:
        if not storage.delete_session(arguments["session_id"]):
            raise _missing(arguments["session_id"])

    return {"list_sessions": list_sessions, "get_session": get_session, "delete_session": delete_session}


def _found(storage: Storage, session_id: str) -> Session:
    if (session := storage.session(session_id)) is None:
        raise _missing(session_id)
    return session


def _missing(session_id: str) -> NotFound:
    return NotFound(f"there is no session {session_id!r}")


def _info(session: Session, messages: list[dict[str, object]] | None = None) -> SessionInfo:
    return SessionInfo(session.session_id, iso(session.last_used), session.messages, messages)
