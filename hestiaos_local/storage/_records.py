"""What a store keeps, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from attrs import field, frozen

__all__ = [
    "Approval",
    "ApprovalStatus",
    "Claim",
    "Claimed",
    "Conflict",
    "Finished",
    "InProgress",
    "Message",
    "Outcome",
    "Retention",
    "Session",
    "TraceRecord",
]


_DAY = 24 * 3600.0  # seconds

Message = Mapping[str, Any]
"""One message of a session, a JSON object in the form of OpenAI's chat completions."""


@frozen
class Outcome:
    """How an execution ended. `milliseconds` is its time, the tokens are those of the model, `None` where unknown.

    `findings` is what governance has found in the outputs, as JSON.
    """

    status: Literal["completed", "blocked", "failed", "cancelled"]
    milliseconds: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    output: str | None = None
    error: str | None = None
    findings: Mapping[str, Any] | None = None


@frozen
class TraceRecord:
    """The audit of one execution, in two phases: what was decided, and, once it is over, its outcome.

    `decided_at` is in seconds since 1970. `facts` is all else that the decision says and was taken on, as JSON.
    """

    trace_id: str
    decision: str
    decided_at: float
    facts: Mapping[str, Any]
    outcome: Outcome | None = None


ApprovalStatus = Literal["pending", "approved", "denied", "used", "expired"]
"""What became of an approval that was asked for."""


@frozen(kw_only=True)
class Approval:
    """What somebody has to approve before a blocked call passes, once, before it expires.

    `call_hash` tells the call from any other. Times are in seconds since 1970. `facts` is what there is to say of the
    call, as JSON; `decided_by` is the name of the key of who approved or denied it.
    """

    id: str
    call_hash: str
    created_at: float
    expires_at: float
    facts: Mapping[str, Any] = field(factory=dict)
    status: ApprovalStatus = "pending"
    decided_by: str | None = None
    decided_at: float | None = None


@frozen
class Session:
    """A session as a list shows it. `last_used` is in seconds since 1970, `messages` counts them."""

    session_id: str
    last_used: float
    messages: int


@frozen
class Claimed:
    """The key was free and is the caller's now: `token` proves it to `finish` and `abandon`."""

    token: int


@frozen
class InProgress:
    """The same request is under way. Its result may be there in `retry_after` seconds: as long again as it has taken
    so far, 1 second at least, and not after its lease."""

    retry_after: float


@frozen
class Finished:
    """The same request came before; `result` is what it came to."""

    result: Any = field(repr=False)


@frozen
class Conflict:
    """The key came with another request."""


Claim = Claimed | InProgress | Finished | Conflict


@frozen
class Retention:
    """How much is kept of each kind: of traces, of sessions, of results for repeats and of approvals.

    `max_age` is in seconds, for a session since its last message; `max_count` counts them; `max_bytes` is the length of
    what they hold, as JSON. `None` sets no limit. The oldest go first. Secrets are kept until they are deleted.
    """

    max_age: float | None = None
    max_count: int | None = None
    max_bytes: int | None = None

    @classmethod
    def of_days(cls, days: float | None, count: int | None, size: int | None) -> Self | None:
        """The retention with these limits, the first one in days; `None` where there is no limit."""
        limits = (None if days is None else days * _DAY, count, size)
        return None if limits == (None, None, None) else cls(*limits)
