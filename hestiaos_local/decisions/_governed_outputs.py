"""Filter the outputs of an executor by the policy and by the agent's permissions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hestiaos_local.decisions._governing import Governed, Governor
from hestiaos_local.execution import Agent, Output, Text, ToolCall, Usage, estimate_input, tokens_in
from hestiaos_local.governance import Blocked, OutputGovernor, Redaction, ReleasedText, ShadowHit, Verdict
from hestiaos_local.storage import Approval

__all__ = ["GovernedOutputs"]

_LARGE = 64 * 1024  # characters; less is judged in about a millisecond


class GovernedOutputs:
    """Receives the outputs of one execution, and returns those that are allowed.

    Texts may be held back, and be returned in other pieces. They are all released before `Usage` and `Finish`.
    """

    def __init__(self, governed: Governed, agent: Agent | None, governor: Governor) -> None:
        self._governed = governed
        self._decider = governor
        self._asks = any(rule.approval for rule in governed.policy.rules_on("tool"))
        self._agent = agent
        self._governor = OutputGovernor(governed.policy, governed.facts)
        # Without rules for outputs, texts are returned unchanged, unless one may contain half of a surrogate pair.
        self._open = not any(governed.policy.output_rules(governed.facts))
        self._ascii = True  # whether the last text is ASCII
        self._received = 0  # characters
        self.approvals: list[Approval] = []
        """The approvals that tool calls have used."""
        self._usage: Usage | None = None

    @property
    def shadow(self) -> tuple[ShadowHit, ...]:
        """The matches of rules in shadow mode."""
        return self._governor.verdict.shadow

    @property
    def redactions(self) -> tuple[Redaction, ...]:
        """The redactions made in the text."""
        return tuple(self._governor.redactions)

    @property
    def usage(self) -> Usage | None:
        """The usage so far, estimated if the executor has not reported it, or None if nothing was received."""
        if self._usage is None and self._received:
            return Usage(estimate_input(self._governed.work), tokens_in(self._received), estimated=True)
        return self._usage

    def takes_long(self, output: Output) -> bool:
        """Return whether judging this output may wait for the storage, or compute for more than a moment."""
        if isinstance(output, Text):
            return len(output.text) > _LARGE
        if isinstance(output, ToolCall):
            return self._asks or len(output.arguments) > _LARGE
        return self._received > _LARGE  # an upper bound of what is held back

    def receive(self, output: Output) -> Sequence[Output]:
        """Return the outputs to send after this one. Raises `GovernanceBlock` if the policy blocks."""
        match output:
            case Text(text):
                self._received += len(text)
                last_ascii, self._ascii = self._ascii, text.isascii()
                if self._open and last_ascii and self._ascii:
                    return (output,)
                self._governor.receive_text(text)
                return list(self._released())
            case ToolCall(id, name, arguments):
                self._received += len(name) + len(arguments)
                self._check_permission(name)
                approval = self._decider.approval_of(self._governed, name, arguments) if self._asks else None
                self._governor.receive_tool_call(id, name, arguments, approved=approval is not None)
                if approval is not None:
                    self.approvals.append(approval)
                return list(self._released())
            case Usage():
                self._usage = output
        self._governor.end()
        return [*self._released(), output]

    def _check_permission(self, tool: str) -> None:
        """Block a tool that the agent may not call, since a model can call one that it was not offered."""
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
