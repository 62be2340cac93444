"""Messages to a server and their replies, in one session."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hestiaos_cli._failures import Failure
from hestiaos_cli._latest_sessions import remember_session
from hestiaos_cli._output import print_fields, remark, remark_echo, rounded
from hestiaos_cli._streaming import PrintedStream
from hestiaos_cli._waiting import waiting
from hestiaos_proto import StatusError

if TYPE_CHECKING:
    from hestiaos import Client
    from hestiaos_cli._settings import Settings

__all__ = ["ChatSession"]

_NOT_THERE = frozenset({"UNKNOWN_OPERATION", "HTTP_405"})  # the codes of a server of version 1.0


class ChatSession:
    """Sends messages and prints their replies. If `session_id` is `None`, a new session is begun.

    `stream` is whether a reply is printed as it arrives; with `None` it is if the server supports it.
    """

    def __init__(self, settings: Settings, client: Client, session_id: str | None, *, stream: bool | None) -> None:
        self._settings = settings
        self._client = client
        self._session_id = session_id
        self._remembered: str | None = None
        self._shown: object = None
        self._streams = stream is not False
        self._may_fall_back = stream is None

    def send(self, message: str) -> None:
        """Send a message and print the reply. Raises `HestiaError`, `Failure`.

        The session does not change if a reply is cancelled or fails.
        """
        self._settings.began = time.monotonic()
        if self._streams:
            try:
                self._stream(message)
                return
            except StatusError as error:
                if error.code not in _NOT_THERE:
                    raise
                if not self._may_fall_back:
                    raise Failure("the server does not stream chats: leave --stream out", code=error.code) from error
                self._streams = False
        self._ask(message)

    def _stream(self, message: str) -> None:
        printed = PrintedStream(self._settings, self._facts)
        try:
            printed.print(self._client.chat.stream(message, self._session_id))
        finally:
            session_id = printed.final.get("session_id") or printed.started.get("session_id")
            self._session_id = session_id if isinstance(session_id, str) else self._session_id
        self._remember()

    def _ask(self, message: str) -> None:
        with waiting():
            reply = self._client.chat.run(message, self._session_id)
        self._session_id = reply.session_id
        self._remember()
        fields = reply.to_wire()
        print_fields(self._settings, fields, answer=reply.result)
        remark(self._settings, *self._facts(fields))
        remark_echo(self._settings)

    def _remember(self) -> None:
        if self._session_id is not None and self._session_id != self._remembered:
            remember_session(self._settings, self._session_id)
            self._remembered = self._session_id

    def _facts(self, reply: Mapping[str, Any]) -> list[str | None]:
        """Return the remarks on a reply, the first time with the session."""
        seconds, session_id, trace_id = (reply.get(name) for name in ("processing_time", "session_id", "trace_id"))
        shown, self._shown = self._shown, session_id
        return [
            f"{rounded(seconds * 1000)} ms" if isinstance(seconds, int | float) else None,
            f"session {session_id}" if session_id and session_id != shown else None,
            f"trace {trace_id}" if trace_id else None,
        ]
