"""Count the tokens of an execution, and complete its outputs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from attrs import evolve

from hestiaos_local.execution._outputs import Finish, Output, Text, ToolCall, Usage
from hestiaos_local.execution._texts import further_texts
from hestiaos_local.execution._work import Work, message_text
from hestiaos_proto import json

__all__ = ["OutputCounter", "estimate_input", "estimate_tokens", "tokens_in"]

_BYTES_PER_TOKEN = 4


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text: one for every four bytes of its UTF-8, rounded up.

    This is close for English with current tokenizers, and rather too high for program code.
    """
    return tokens_in(_size(text))


def tokens_in(size: int) -> int:
    """Estimate the tokens in this many bytes."""
    return -(-size // _BYTES_PER_TOKEN)


def estimate_input(work: Work) -> int:
    """Estimate the input tokens of a work: its messages, the definitions of its tools and its options."""
    texts = (*map(message_text, work.messages), *further_texts(evolve(work, tools=())))
    read = sum(map(estimate_tokens, texts))
    if work.tools:
        read += len(json.dumps(list(work.tools))) // _BYTES_PER_TOKEN
    return read


class OutputCounter:
    """Completes the outputs of an execution with one `Usage`, estimated if not reported, and one `Finish`.

    `send` returns the outputs that replace an output, `end` those at the end. With `cut`, an output beyond the work's
    `max_tokens`, as estimated, is omitted and ends the execution.
    """

    def __init__(self, work: Work, *, cut: bool = False) -> None:
        self._work = work
        self._most = work.max_tokens * _BYTES_PER_TOKEN if cut and work.max_tokens is not None else inf
        self._size = 0
        self._called = False
        self._usage: Usage | None = None
        self.finished: bool = False
        """Whether `Finish` was sent. Later outputs of the executor are ignored."""

    def send(self, output: Output) -> Sequence[Output]:
        """Process the next output. Raises `TypeError` if it is not an output."""
        match output:
            case Text(text):
                size = _size(text)
                if self._size + size > self._most:
                    return self._cut(text)
                self._size += size
                return (output,)
            case ToolCall(_, name, arguments):
                size = _size(name) + _size(arguments)
                if self._size + size > self._most:  # a call cannot be cut
                    return self.send(Finish("length"))
                self._called = True
                self._size += size
                return (output,)
            case Usage():
                self._usage = output
                return ()
            case Finish():
                self.finished = True
                return (self._usage or self._estimate(), output)
        raise TypeError(f"an executor must yield Text, ToolCall, Usage or Finish, not {type(output).__name__}")

    def end(self) -> Sequence[Output]:
        """Process the end of the executor's outputs."""
        return () if self.finished else self.send(Finish("tool_calls" if self._called else "stop"))

    def _cut(self, text: str) -> Sequence[Output]:
        left = text.encode("utf-8", "surrogatepass")[: int(self._most) - self._size].decode("utf-8", "ignore")
        self._size += _size(left)
        return (*([Text(left)] if left else []), *self.send(Finish("length")))

    def _estimate(self) -> Usage:
        return Usage(estimate_input(self._work), tokens_in(self._size), estimated=True)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
