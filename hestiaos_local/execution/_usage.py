"""The tokens of an execution, and the order in which its outputs end. Pure."""

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
    """About how many tokens a text is: one for every four bytes of its UTF-8, the last one begun counts.

    Close for English under the tokenizers of today, and too many rather than too few for program text.
    """
    return tokens_in(_size(text))


def tokens_in(size: int) -> int:
    """About how many tokens this many bytes are."""
    return -(-size // _BYTES_PER_TOKEN)


def estimate_input(work: Work) -> int:
    """About how many tokens a model reads for a work: its messages, the definitions of its tools and its options."""
    texts = (*map(message_text, work.messages), *further_texts(evolve(work, tools=())))
    read = sum(map(estimate_tokens, texts))
    if work.tools:
        read += len(json.dumps(list(work.tools))) // _BYTES_PER_TOKEN
    return read


class OutputCounter:
    """Has every execution end with one `Usage`, which is estimated where its executor gave none, and `Finish`.

    `send` and `end` return what takes the place of an output, and what is to come at the end. With `cut`, what goes
    beyond the work's `max_tokens`, as estimated, is left out, and ends the execution.
    """

    def __init__(self, work: Work, *, cut: bool = False) -> None:
        self._work = work
        self._most = work.max_tokens * _BYTES_PER_TOKEN if cut and work.max_tokens is not None else inf
        self._size = 0
        self._called = False
        self._usage: Usage | None = None
        self.finished: bool = False
        """Whether `Finish` was sent: what an executor gives after it does not count."""

    def send(self, output: Output) -> Sequence[Output]:
        """Take the next output. Raises `TypeError` for what is not one."""
        match output:
            case Text(text):
                size = _size(text)
                if self._size + size > self._most:
                    return self._cut(text)
                self._size += size
                return (output,)
            case ToolCall(_, name, arguments):
                size = _size(name) + _size(arguments)
                if self._size + size > self._most:  # a part of a call is not one
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
        raise TypeError(f"an executor gives Text, ToolCall, Usage and Finish, not {type(output).__name__}")

    def end(self) -> Sequence[Output]:
        """The executor has finished."""
        return () if self.finished else self.send(Finish("tool_calls" if self._called else "stop"))

    def _cut(self, text: str) -> Sequence[Output]:
        left = text.encode("utf-8", "surrogatepass")[: int(self._most) - self._size].decode("utf-8", "ignore")
        self._size += _size(left)
        return (*([Text(left)] if left else []), *self.send(Finish("length")))

    def _estimate(self) -> Usage:
        return Usage(estimate_input(self._work), tokens_in(self._size), estimated=True)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
