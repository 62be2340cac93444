"""Agents, whose configuration is applied to work. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from hestiaos_local.execution._work import Work

__all__ = ["Agent"]


@frozen(kw_only=True)
class Agent:
    """An agent of the configuration file.

    `system` is its system prompt, `model` the name of its model. `tools` are the names of the tools that it may call,
    None for any. `max_tokens` and `timeout` (seconds) are its limits.
    """

    id: str
    system: str | None = field(default=None, repr=False)
    model: str | None = None
    tools: frozenset[str] | None = None
    max_tokens: int | None = None
    timeout: float | None = None

    def prepare(self, work: Work) -> Work:
        """Apply this agent's prompt, model and tools to the work, and the lower of both limits."""
        prompt = () if self.system is None else ({"role": "system", "content": self.system},)
        return evolve(
            work,
            messages=[*prompt, *work.messages],
            model=self.model or work.model,
            tools=[tool for tool in work.tools if self.allows(_name(tool))],
            max_tokens=_lower(self.max_tokens, work.max_tokens),
            timeout=_lower(self.timeout, work.timeout),
        )

    def allows(self, tool: str) -> bool:
        """Return whether the agent may call this tool. A model can call a tool that it was not offered."""
        return self.tools is None or tool in self.tools


def _name(tool: Mapping[str, Any]) -> str:
    function = tool.get("function")
    return str(function.get("name", "")) if isinstance(function, Mapping) else str(tool.get("name", ""))


def _lower(one: Any, other: Any) -> Any:
    return min((limit for limit in (one, other) if limit is not None), default=None)
