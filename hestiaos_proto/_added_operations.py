"""The operations added after 1.0: chats as streams, lists, approvals, the policy, the audit. `operations` has all.

A server that does not have one answers with 404, which is raised as a `NotFound` with the code `UNKNOWN_OPERATION`.
"""

from __future__ import annotations

from typing import Any

from hestiaos_proto._listed_models import AgentInfo, Approval, SessionInfo
from hestiaos_proto._models import TraceResponse
from hestiaos_proto._operation import Operation, make_operation
from hestiaos_proto._stream import RunStream

__all__ = [
    "chat_stream",
    "decide_approval",
    "delete_session",
    "export_audit",
    "get_limits",
    "get_policy",
    "get_session",
    "judge",
    "list_agents",
    "list_approvals",
    "list_secrets",
    "list_sessions",
    "list_traces",
    "test_policy",
    "verify_audit",
]

_VERIFICATION_MS = 10 * 60 * 1000  # how long a server may take to read the whole of a long audit


def chat_stream(message: str, *, session_id: str | None = None) -> Operation[RunStream]:
    """Send a chat message and stream the reply. The session's id is in the data of `start`."""
    return make_operation("chat_stream", message=message, session_id=session_id)


def list_traces(
    *, limit: int = 100, decision: str | None = None, before: str | None = None
) -> Operation[list[TraceResponse]]:
    """Fetch the newest traces, the newest first.

    They are those of one `decision` (`"BLOCK"`), and older than the trace with the id `before`, where these are given.
    """
    return make_operation("list_traces", limit=limit, decision=decision, before=before)


def list_agents() -> Operation[list[AgentInfo]]:
    """Fetch the agents that the server has."""
    return make_operation("list_agents")


def list_secrets() -> Operation[list[str]]:
    """Fetch the keys of the secrets, without their values."""
    return make_operation("list_secrets")


def list_sessions(*, limit: int = 100, before: str | None = None) -> Operation[list[SessionInfo]]:
    """Fetch the sessions, last used first, without their messages; those after the session with the id `before`."""
    return make_operation("list_sessions", limit=limit, before=before)


def get_session(session_id: str, *, last: int | None = None) -> Operation[SessionInfo]:
    """Fetch a session with its messages: all, or the `last` N."""
    return make_operation("get_session", session_id=session_id, last=last)


def delete_session(session_id: str) -> Operation[None]:
    """Delete a session and its messages."""
    return make_operation("delete_session", session_id=session_id)


def list_approvals(*, limit: int = 100, status: str | None = None) -> Operation[list[Approval]]:
    """Fetch the newest approvals, the newest first: all, or those of one status (`"pending"`)."""
    return make_operation("list_approvals", limit=limit, status=status)


def decide_approval(approval_id: str, approve: bool) -> Operation[Approval]:
    """Approve what governance has blocked, so that the same call passes once; or deny it."""
    return make_operation("decide_approval", approval_id=approval_id, approve=approve)


def get_policy() -> Operation[dict[str, Any]]:
    """Fetch the policy in use: its name, version, SHA-256 and text."""
    return make_operation("get_policy")


def judge(
    *,
    input: str | None = None,
    output: str | None = None,
    tool: str | None = None,
    arguments: dict[str, Any] | None = None,
    command_type: str = "RUN",
    agent: str | None = None,
    session: str | None = None,
    key: str | None = None,
    model: str | None = None,
) -> Operation[dict[str, Any]]:
    """Ask what the policy decides on an input, an output or a tool's call, and why. Nothing is executed.

    Give one of `input`, `output` and `tool` with its `arguments`; the rest is what a rule's conditions may name.
    """
    return make_operation(
        "judge",
        input=input,
        output=output,
        tool=tool,
        arguments=arguments,
        command_type=command_type,
        agent=agent,
        session=session,
        key=key,
        model=model,
    )


def test_policy(text: str) -> Operation[dict[str, Any]]:
    """Let the server parse the text of a policy and run its tests. The policy in use is not changed."""
    return make_operation("test_policy", text=text)


def get_limits() -> Operation[dict[str, Any]]:
    """Fetch the limits of the policy, and what is used of them."""
    return make_operation("get_limits")


def export_audit(*, after: int = 0, limit: int = 100) -> Operation[dict[str, Any]]:
    """Fetch the audit's records after this number, in their order."""
    return make_operation("export_audit", after=after, limit=limit)


def verify_audit(*, known: str | None = None) -> Operation[dict[str, Any]]:
    """Let the server verify that no record of the audit was changed, removed or inserted.

    `known` is the head that an earlier verification returned, which must still be in the audit.
    """
    return make_operation("verify_audit", server_timeout_ms=_VERIFICATION_MS, known=known)
