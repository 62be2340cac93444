"""The data that a store keeps and returns."""

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
"""One message of a session, a JSON object in the format of OpenAI's chat completions."""


@frozen
class Outcome:
    """How an execution ended.

    `milliseconds` is its duration. The tokens are the model's, None if unknown. `findings` is what governance found in
    the output, as JSON.
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
    """The audit record of one execution, written in two phases: the decision and, when it has ended, its outcome.

    `decided_at` is in seconds since 1970. `facts` has the details of the decision and what it was based on, as JSON.
    """

    trace_id: str
    decision: str
    decided_at: float
    facts: Mapping[str, Any]
    outcome: Outcome | None = None


ApprovalStatus = Literal["pending", "approved", "denied", "used", "expired"]
"""The status of a requested approval."""


@frozen(kw_only=True)
class Approval:
    """A request to let a blocked call pass. If it is approved, the call may be made once before it expires.

    `call_hash` identifies the call. Times are in seconds since 1970. `facts` describes the call, as JSON. `decided_by`
    is the name of the API key that approved or denied it.
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
    """A session in a listing. `last_used` is in seconds since 1970, `messages` is the number of its messages."""

    session_id: str
    last_used: float
    messages: int


@frozen
class Claimed:
    """The key was free and is now claimed by the caller. `finish` and `abandon` require the `token`."""

    token: int


@frozen
class InProgress:
    """The same request is in progress.

    `retry_after` is a delay in seconds: the time it has taken so far, at least 1 second, and at most the rest of its
    lease.
    """

    retry_after: float


@frozen
class Finished:
    """The same request has ended before, with this `result`."""

    result: Any = field(repr=False)


@frozen
class Conflict:
    """The key was used with another request."""


Claim = Claimed | InProgress | Finished | Conflict


@frozen
class Retention:
    """How many traces, sessions, stored results and approvals are kept. The limits apply to each of these four kinds.

    `max_age` is in seconds (for a session, since its last message), `max_count` a number of items, `max_bytes` the
    total length of their JSON. None means no limit. The newest `min_count` are kept whatever their age and length. The
    oldest are deleted first. Secrets are exempt.
    """

    max_age: float | None = None
    max_count: int | None = None
    max_bytes: int | None = None
    min_count: int = 0

    @classmethod
    def of_days(cls, days: float | None, count: int | None, size: int | None) -> Self | None:
        """Build a retention from a maximum age in days, a count and a size in bytes. Return None if all are None."""
        limits = (None if days is None else days * _DAY, count, size)
        return None if limits == (None, None, None) else cls(*limits)
