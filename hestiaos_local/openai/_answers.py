"""Decode the JSON objects of one answer: the chunks of a stream, or the object of a response without streaming."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast, get_args

from hestiaos_local._surrogates import SurrogateJoiner
from hestiaos_local.execution import Finish, FinishReason, Output, Text, Usage
from hestiaos_local.openai._tool_calls import ToolCallGatherer
from hestiaos_local.openai._upstream_errors import model_protocol_error, model_stream_cut, stated_error
from hestiaos_proto import Redactor

__all__ = ["AnswerReader"]


class AnswerReader:
    """Decodes the objects of an answer. Texts are returned at once; tool calls, usage and finish reason at the end.

    Only the first choice is read, since only one is requested. A model's reasoning (`reasoning_content`, `reasoning`)
    is not part of its answer and is omitted. The text of a `refusal` is treated like any other text.
    """

    def __init__(self, redactor: Redactor, id_prefix: str) -> None:
        self._redactor = redactor
        self._texts = SurrogateJoiner()
        self._calls = ToolCallGatherer(id_prefix)
        self._usage: Usage | None = None
        self._answered = False
        self._reason: str | None = None

    def read(self, value: Any, part: Literal["delta", "message"], *, event: str = "message") -> Iterator[Output]:
        """Yield the texts of the next object. Raises a `StatusError` if it is an error."""
        if not isinstance(value, dict):
            raise model_protocol_error("it sent JSON that is not an object")
        if (error := stated_error(value, self._redactor, event=event)) is not None:
            raise error
        self._usage = _usage(value.get("usage")) or self._usage
        for choice in _objects(value, "choices"):
            if choice.get("index") in (0, None):
                yield from self._choice(choice, part)

    def end(self, *, marked: bool) -> Iterator[Output]:
        """Yield the outputs at the end of the answer. `marked` is whether the stream had an explicit end.

        Raises `ServerError` if the answer is incomplete.
        """
        if self._reason is None and not (marked and self._answered):
            raise model_stream_cut("it ended without a finish_reason" if self._answered else "it has no answer")
        if text := self._texts.end():
            yield Text(text)
        calls = self._calls.end()
        yield from calls
        if self._usage is not None:
            yield self._usage
        yield Finish(_finish_reason(self._reason or "stop", called=bool(calls)))

    def _choice(self, choice: dict[str, Any], part: Literal["delta", "message"]) -> Iterator[Output]:
        self._answered = True
        said = choice.get(part)
        if said is None:
            said = {}
        if not isinstance(said, dict):
            raise model_protocol_error(f"the {part} of a choice is not a JSON object")
        for key in ("content", "refusal"):
            if text := self._texts.send(_text(said.get(key))):
                yield Text(text)
        for position, call in enumerate(_objects(said, "tool_calls")):
            # Each entry of a message is a separate call; a delta may be any part of one.
            self._calls.receive_delta({"index": position} | call if part == "message" else call)
        if (function := said.get("function_call")) is not None:  # the API's older format for a single call
            self._calls.receive_delta({"index": 0, "function": function})
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self._reason = reason


def _objects(table: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """Return the objects of a list that may be missing."""
    values = table.get(key)
    if values is None:
        return
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise model_protocol_error(f"{key} is not a list of JSON objects")
    yield from values


def _text(content: Any) -> str:
    """Return the text of a content, which is a string, null, or a list of parts with text parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and _is_text(part))
    if content is None:
        return ""
    raise model_protocol_error("the content is neither a text nor a list")


def _is_text(part: dict[str, Any]) -> bool:
    return part.get("type", "text") in ("text", "output_text") and isinstance(part.get("text"), str)


def _finish_reason(said: str, *, called: bool) -> FinishReason:
    """Map a server's finish reason to the API's. `called` is whether there were tool calls.

    Some servers have other values (`eos`, `end_turn`, `abort`), and some send `stop` after a tool call.
    """
    if said not in get_args(FinishReason) or said == "stop":
        return "tool_calls" if called else "stop"
    return cast(FinishReason, said)


def _usage(value: Any) -> Usage | None:
    """Decode a usage object, or return None if it does not have both numbers."""
    if not isinstance(value, dict):
        return None
    read, written = value.get("prompt_tokens"), value.get("completion_tokens")
    if type(read) is not int or type(written) is not int or min(read, written) < 0:
        return None
    return Usage(read, written)
