"""The outputs of an executor: texts and tool calls in order, then the usage, then the reason for its end."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

__all__ = ["Finish", "FinishReason", "Output", "Text", "ToolCall", "Usage"]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
"""Why an execution ended: at its natural end, at `max_tokens`, to call a tool, or because its content was refused."""


@frozen
class Text:
    """The next piece of the answer's text."""

    text: str


@frozen
class ToolCall:
    """A complete tool call. `arguments` is the JSON text written by the model, which may be invalid."""

    id: str
    name: str
    arguments: str = field(repr=False)


@frozen
class Usage:
    """The tokens of input and output. `estimated` if the model server did not report them."""

    prompt_tokens: int
    completion_tokens: int
    estimated: bool = False


@frozen
class Finish:
    """The end of the outputs."""

    reason: FinishReason = "stop"


Output = Text | ToolCall | Usage | Finish
