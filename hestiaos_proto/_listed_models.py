"""The models of the operations that were added after 1.0."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from hestiaos_proto._models import Model

__all__ = ["AgentInfo", "Approval", "SessionInfo"]


@frozen(repr=False)
class AgentInfo(Model):
    """An agent that the server has: its system prompt, its model, and the tools that it may use.

    `tools` names those that it may call; `None` means any. `timeout_ms` is in milliseconds.
    """

    agent_id: str
    model: str | None = None
    system: str | None = None
    tools: list[str] | None = None
    max_tokens: int | None = None
    timeout_ms: int | None = None


@frozen(repr=False)
class SessionInfo(Model):
    """A session; `last_used` is ISO 8601. It has `messages` if one session was fetched."""

    session_id: str
    last_used: str
    message_count: int
    messages: list[dict[str, Any]] | None = None


@frozen(repr=False)
class Approval(Model):
    """A call that governance has blocked, and that can be approved.

    `status` is one of pending, approved, denied, used and expired. An approved call passes once, before it `expires`;
    both times are ISO 8601. `input` is the call's text, cut to 1,000 characters: the trace has all of it. `by` is
    the name of the API key that decided.
    """

    approval_id: str
    status: str
    created: str
    expires: str
    trace_id: str | None = None
    operation: str | None = None
    rule: str | None = None
    reason: str | None = None
    risk_score: float | None = None
    input: str | None = None
    by: str | None = None
