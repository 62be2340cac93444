"""The outputs that an execution has given its caller so far."""

from __future__ import annotations

from attrs import field, frozen

from hestiaos_local.execution import Output, Text, ToolCall, Usage

__all__ = ["Answer"]


@frozen
class Answer:
    """The texts, the tool calls and the usage among the outputs of one execution."""

    texts: list[str] = field(factory=list)
    tool_calls: list[ToolCall] = field(factory=list)
    usage: list[Usage] = field(factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def used(self) -> Usage | None:
        """The tokens that it took, where that is known."""
        return self.usage[-1] if self.usage else None

    def add(self, output: Output) -> None:
        match output:
            case Text(text):
                self.texts.append(text)
            case ToolCall():
                self.tool_calls.append(output)
            case Usage():
                self.usage.append(output)
            case _:
                pass
