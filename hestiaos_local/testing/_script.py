"""The scripted replies of a test in order, and the requests received."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from attrs import field, frozen

from hestiaos_local.testing._replies import Reply
from hestiaos_proto import ServerError

__all__ = ["ReceivedRequest", "Script"]

_SHOWN = 60  # characters of an input that are quoted in messages


@frozen
class ReceivedRequest:
    """A request that reached the platform. `text` is the input, message or task, empty if there is none.

    The names of `headers` are in lower case. They are empty for requests of OpenAI's API.
    """

    operation: str
    text: str
    arguments: Mapping[str, Any] = field(repr=False)  # may contain a secret
    headers: Mapping[str, str] = field(factory=dict, repr=False)  # contain the key


class Script:
    """Finds for each request the first reply that matches it and is not used up. Threads may share it."""

    def __init__(self) -> None:
        self.requests: list[ReceivedRequest] = []
        self._replies: list[Reply] = []
        self._faults: list[str] = []
        self._lock = Lock()

    def add(self, reply: Reply) -> Reply:
        """Append a reply."""
        with self._lock:
            self._replies.append(reply)
        return reply

    def refusal(self, operation: str, text: str) -> Reply | None:
        """Return the reply to a request if it refuses it. Any other reply is left for `take`."""
        with self._lock:
            reply = self._next(operation, text)
            if reply is None or not reply.refuses:
                return None
            reply.used += 1
            return reply

    def take(self, text: str) -> Reply | None:
        """Return the reply to an execution."""
        with self._lock:
            if (reply := self._next(None, text)) is not None:
                reply.used += 1
            return reply

    def fault(self, message: str) -> ServerError:
        """Return the error for a request without a reply, and add it to the `problems`."""
        self._faults.append(message)
        return ServerError(message, code="SCRIPT")

    def not_scripted(self, text: str) -> ServerError:
        """Return the error for an input without a scripted reply."""
        replies = "".join(f"\n  {each} {_count(each)}" for each in self._replies) or " none"
        return self.fault(
            f"no reply is scripted for the input {_shorten(text)}: call say, call_tool, block, fail, cut or echo "
            f"before it is sent; the replies are:{replies}"
        )

    def problems(self) -> list[str]:
        """Return the mistakes of a test: requests without a reply, and replies without a request."""
        unused = [each for each in self._replies if each.times is not None and each.used < each.times]
        asked = ", ".join(f"{each.operation} {_shorten(each.text)}" for each in self.requests) or "none"
        return [
            *self._faults,
            *(f"the reply {each} is not used up {_count(each)}; the requests were: {asked}" for each in unused),
        ]

    def release(self) -> None:
        """Release all held replies."""
        for reply in self._replies:
            reply.release()

    def _next(self, operation: str | None, text: str) -> Reply | None:
        return next((each for each in self._replies if each.fits(operation, text)), None)


def _count(reply: Reply) -> str:
    most = "" if reply.times is None else f" of {reply.times}"
    return f"(used {reply.used}{most} {'times' if reply.times != 1 else 'time'})"


def _shorten(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
