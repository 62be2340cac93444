"""The outputs of an executor: texts and tool calls in their order, then what was used, then why it ended."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen

__all__ = ["Finish", "FinishReason", "Output", "Text", "ToolCall", "Usage"]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
"""Why an execution ended: by itself, at `max_tokens`, for a tool to be called, or because its content was refused."""


@frozen
class Text:
    """The next piece of the answer's text."""

    text: str


@frozen
class ToolCall:
    """The whole call of a tool: `arguments` is the JSON text that the model wrote, which need not be valid."""

    id: str
    name: str
    arguments: str = field(repr=False)


@frozen
class Usage:
    """The tokens that were read and written; `estimated` if the model server did not report them."""

    prompt_tokens: int
    completion_tokens: int
    estimated: bool = False


@frozen
class Finish:
    """The end of the outputs."""

    reason: FinishReason = "stop"


Output = Text | ToolCall | Usage | Finish
