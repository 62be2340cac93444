"""What stands between an executor and its caller: the outputs that the policy and the agent allow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from hestiaos_local._flow import Call, Flow
from hestiaos_local._governing import Governed, Governor
from hestiaos_local.execution import Agent, Output, Text, ToolCall
from hestiaos_local.governance import Blocked, OutputGovernor, Redaction, ReleasedText, ShadowHit, Verdict

__all__ = ["GovernedOutputs"]

_LARGE = 64 * 1024  # characters; what is smaller is judged in about a millisecond


class GovernedOutputs:
    """Takes the outputs of one execution, and gives those that may be handed on.

    Texts may come later and in other pieces. `Usage` and `Finish` end them: what was held back comes before.
    """

    def __init__(self, governed: Governed, agent: Agent | None, governor: Governor) -> None:
        self._governed = governed
        self._decider = governor
        self._asks = any(rule.approval and "tool" in rule.on for rule in governed.policy.rules)
        self._agent = agent
        self._governor = OutputGovernor(governed.policy, governed.facts)
        self._received = 0  # characters

    @property
    def shadow(self) -> tuple[ShadowHit, ...]:
        """What rules in shadow mode would have done."""
        return self._governor.verdict.shadow

    @property
    def redactions(self) -> tuple[Redaction, ...]:
        """What was replaced in the text."""
        return tuple(self._governor.redactions)

    @property
    def begun(self) -> bool:
        """Whether anything was received."""
        return self._received > 0

    def receive(self, output: Output) -> Flow[list[Output]]:
        """What may be handed on now that this output is there. Raises the `GovernanceBlock` of what may not."""
        match output:
            case Text(text):
                size = len(text)
            case ToolCall(id, name, arguments):
                if self._asks and (yield Call(partial(self._passes_by_approval, output))):
                    self._governor.receive_tool_call(id, name, arguments, approved=True)
                    return list(self._released())
                size = len(arguments)
            case _:
                size = self._received  # all that is held back, at most
        self._received += size
        if size > _LARGE:
            large: list[Output] = yield Call(partial(self._judge, output), long=True)
            return large
        return self._judge(output)

    def _judge(self, output: Output) -> list[Output]:
        match output:
            case Text(text):
                self._governor.receive_text(text)
                return list(self._released())
            case ToolCall(id, name, arguments):
                self._check_permission(name)
                self._governor.receive_tool_call(id, name, arguments)
                return list(self._released())
            case _:
                self._governor.end()
                return [*self._released(), output]

    def _passes_by_approval(self, call: ToolCall) -> bool:
        self._check_permission(call.name)
        return self._decider.passes_by_approval(self._governed, call.name, call.arguments)

    def _check_permission(self, tool: str) -> None:
        """Refuse a tool that the agent may not call: a model can call one that it was not offered."""
        if self._agent is not None and not self._agent.allows(tool):
            reason = f"the agent {self._agent.id!r} may not call the tool {tool!r}"
            raise self._governed.block_by(Verdict(decision="BLOCK", rule="agent-tools", reason=reason, risk=1.0))

    def _released(self) -> Iterator[Output]:
        for event in self._governor.events():
            match event:
                case ReleasedText(text):
                    yield Text(text)
                case Blocked(verdict):
                    raise self._governed.block_by(verdict)
                case _:
                    yield ToolCall(event.id, event.name, event.arguments)
