"""The operation on agents."""

from __future__ import annotations

from collections.abc import Mapping

from hestiaos_local.execution import Agent
from hestiaos_local.operations._answers import Answers, Arguments
from hestiaos_proto import AgentInfo

__all__ = ["agent_operations"]


def agent_operations(agents: Mapping[str, Agent] | None) -> Answers:
    """Return the operation that lists the configured agents. If there are none, any name is accepted."""

    def list_agents(arguments: Arguments, key: str | None) -> list[AgentInfo]:
        return [_info(agent) for agent in (agents or {}).values()]

    return {"list_agents": list_agents}


def _info(agent: Agent) -> AgentInfo:
    return AgentInfo(
        agent_id=agent.id,
        model=agent.model,
        system=agent.system,
        tools=None if agent.tools is None else sorted(agent.tools),
        max_tokens=agent.max_tokens,
        timeout_ms=None if agent.timeout is None else round(agent.timeout * 1000),
    )
