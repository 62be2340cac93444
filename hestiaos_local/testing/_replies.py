"""Scripted replies."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from threading import Event
from typing import Literal

from attrs import define, field

from hestiaos_local.execution import Output
from hestiaos_proto import StatusError

__all__ = ["EXECUTIONS", "End", "Reply", "To"]

EXECUTIONS = frozenset({"run", "run_stream", "chat", "chat_stream", "run_agent", "complete"})
"""The operations that execute something. `complete` is the one of OpenAI's API."""

To = str | re.Pattern[str] | Callable[[str], bool] | None
"""Which inputs match: those that contain a text, in which a pattern is found, or for which a function returns true.
None matches all."""

End = Literal["done", "block", "cut", "echo"] | Callable[[], StatusError]
"""How a reply ends: complete, blocked by governance, with a closed connection, as an echo, or with an error."""


@define(eq=False)
class Reply:
    """A scripted reply, as returned by the methods of `ScriptedPlatform`. `used` counts the requests that got it."""

    _shown: str
    outputs: tuple[Output, ...] = field(repr=False, kw_only=True)
    end: End = field(repr=False, kw_only=True)
    reason: str = field(default="", repr=False, kw_only=True)
    to: To = field(default=None, repr=False, kw_only=True)
    operation: str | None = field(default=None, repr=False, kw_only=True)
    times: int | None = field(default=1, repr=False, kw_only=True)
    delay: float = field(default=0.0, repr=False, kw_only=True)
    hold_after: int | None = field(default=None, repr=False, kw_only=True)
    used: int = field(default=0, init=False)
    _released: Event = field(factory=Event, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be 1 or more, or None for any number, not {self.times}")
        if not 0 <= self.delay < inf:
            raise ValueError(f"delay must be a number of seconds, 0 or more, not {self.delay}")
        if self.hold_after is not None and not 0 <= self.hold_after <= len(self.outputs):
            raise ValueError(f"hold_after must be from 0 to {len(self.outputs)} (all outputs), not {self.hold_after}")
        if not (self.to is None or isinstance(self.to, str | re.Pattern) or callable(self.to)):
            raise TypeError(f"to must be a str, a compiled pattern or a function, not {type(self.to).__name__}")
        if self.operation is None:
            return
        if self.to is not None and self.operation not in EXECUTIONS:
            raise ValueError(f"to cannot be given for {self.operation}, which does not have an input")
        if not self.refuses:
            raise ValueError("operation and after exclude each other: give one of them")

    def __repr__(self) -> str:
        return self._shown

    @property
    def refuses(self) -> bool:
        """Whether the request is refused before anything is executed."""
        return not self.outputs and not self.waits and self.end not in ("done", "echo")

    @property
    def waits(self) -> bool:
        """Whether the client has to wait."""
        return self.delay > 0 or self.hold_after is not None

    @property
    def released(self) -> bool:
        """Whether a reply with `hold_after` was released."""
        return self._released.is_set()

    def release(self) -> None:
        """Release a reply with `hold_after`, for all current and future requests. Any thread may call it."""
        self._released.set()

    def wait(self, seconds: float | None) -> bool:
        """Block until it is released, for at most this many seconds. Return whether it is released."""
        return self._released.wait(seconds)

    def fits(self, operation: str | None, text: str) -> bool:
        """Return whether it matches a request and is not used up. `operation` is None for an execution."""
        if self.times is not None and self.used >= self.times:
            return False
        if self.operation is None:
            if operation is not None and operation not in EXECUTIONS:
                return False
        elif self.operation != operation:
            return False
        match self.to:
            case None:
                return True
            case str():
                return self.to in text
            case re.Pattern():
                return self.to.search(text) is not None
            case _:
                return self.to(text)
