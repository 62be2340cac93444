"""The roles that an API key needs for each operation of the protocol and each path of the server. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hestiaos_local.keys import Role
from hestiaos_local.serving._resources import COMPLETIONS, METRICS, MODELS

__all__ = ["roles_for"]

_ROLES: Mapping[str, tuple[Role, ...]] = {
    **dict.fromkeys(("run", "run_stream", "chat", "chat_stream", "run_agent", COMPLETIONS), ("run",)),
    **dict.fromkeys(("trace", "list_traces", "governance_trace", "governance_status", "explain", "judge"), ("read",)),
    **dict.fromkeys(("system_status", "system_config", "system_metrics", METRICS, MODELS, "get_limits"), ("read",)),
    **dict.fromkeys(("list_agents", "list_sessions", "get_session"), ("read",)),
    "list_approvals": ("read", "approve"),
    "decide_approval": ("approve",),
}


def roles_for(name: str) -> tuple[Role, ...]:
    """Return the roles for an operation or a path. Any one of them is sufficient, and so is `admin`.

    What the table does not contain is for `admin` only, so that a new operation is not open by mistake.
    """
    return _ROLES.get(name, ("admin",))
