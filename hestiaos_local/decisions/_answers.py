"""The outputs of an execution so far."""

from __future__ import annotations

from attrs import field, frozen

from hestiaos_local.execution import Output, Text, ToolCall, Usage

__all__ = ["Answer"]

_BLOCK = 1024


@frozen
class Answer:
    """Collects the texts, the tool calls and the usage of one execution."""

    _blocks: list[str] = field(factory=list)  # joined texts: freeing millions blocks other threads
    _texts: list[str] = field(factory=list)  # those not joined yet
    tool_calls: list[ToolCall] = field(factory=list)
    usage: list[Usage] = field(factory=list)

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join([*self._blocks, *self._texts])

    @property
    def used(self) -> Usage | None:
        """The tokens used, None if unknown."""
        return self.usage[-1] if self.usage else None

    def add(self, output: Output) -> None:
        match output:
            case Text(text):
                self._texts.append(text)
                if len(self._texts) == _BLOCK:
                    self._blocks.append("".join(self._texts))
                    self._texts.clear()
            case ToolCall():
                self.tool_calls.append(output)
            case Usage():
                self.usage.append(output)
            case _:
                pass
