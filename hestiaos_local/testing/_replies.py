"""The scripted replies of a test."""

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
"""The operations that execute something; `complete` is what clients of OpenAI's API ask for."""

To = str | re.Pattern[str] | Callable[[str], bool] | None
"""Which inputs a reply is for: those that contain a text, those that a pattern is found in, or those that a function
says; `None` for all."""

End = Literal["done", "block", "cut", "echo"] | Callable[[], StatusError]
"""How a reply ends: complete, blocked by governance, with the connection cut, as an echo, or with an error."""


@define(eq=False)
class Reply:
    """A scripted reply, as the methods of `ScriptedPlatform` return it. `used` counts the requests that it answered."""

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
            raise ValueError(f"hold_after must be from 0 to {len(self.outputs)}, the outputs, not {self.hold_after}")
        if not (self.to is None or isinstance(self.to, str | re.Pattern) or callable(self.to)):
            raise TypeError(f"to must be a str, a compiled pattern or a function, not {type(self.to).__name__}")
        if self.operation is None:
            return
        if self.to is not None and self.operation not in EXECUTIONS:
            raise ValueError(f"to looks at an input, and {self.operation} has none")
        if not self.refuses:
            raise ValueError("operation is for what happens before anything else: give it without after")

    def __repr__(self) -> str:
        return self._shown

    @property
    def refuses(self) -> bool:
        """Whether nothing is executed at all."""
        return not self.outputs and not self.waits and self.end not in ("done", "echo")

    @property
    def waits(self) -> bool:
        """Whether its client has to wait."""
        return self.delay > 0 or self.hold_after is not None

    @property
    def released(self) -> bool:
        """Whether a reply with `hold_after` need not wait any more."""
        return self._released.is_set()

    def release(self) -> None:
        """Release a reply with `hold_after`, in every request that it holds and will hold. From any thread."""
        self._released.set()

    def wait(self, seconds: float | None) -> bool:
        """Block until it is released, for at most this many seconds. Returns whether it is released."""
        return self._released.wait(seconds)

    def fits(self, operation: str | None, text: str) -> bool:
        """Whether it matches such a request and is not used up; the operation is `None` for an execution."""
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
