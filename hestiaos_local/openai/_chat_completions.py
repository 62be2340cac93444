"""Decode requests for `POST /v1/chat/completions` (OpenAI's API, "Create chat completion")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from hestiaos_local.execution import Message, Work
from hestiaos_local.openai._error_bodies import shown_place
from hestiaos_proto import FieldError, InvalidInput, json

__all__ = ["ROLES", "ChatCompletion", "parse_chat_completion"]

ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_IN_PLACE_OF_CONTENT = ("tool_calls", "function_call", "refusal", "audio")  # in a message of an assistant
_MISSING = object()
_ESCAPED_SURROGATES = (rb"\ud", rb"\uD")  # the beginnings of escaped surrogates, which cannot be sent unpaired


@frozen(kw_only=True)
class ChatCompletion:
    """A request for a chat completion.

    `max_tokens` is the lower of the request's `max_tokens` and `max_completion_tokens`. `options` are the fields that
    are passed on to the model server as received.
    """

    model: str
    messages: Sequence[Message] = field(repr=False)
    tools: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    options: Mapping[str, Any] = field(factory=dict, repr=False)

    def work(self, *, timeout: float | None = None, trace_id: str = "") -> Work:
        """Create the work for an executor."""
        return Work(
            messages=self.messages,
            model=self.model,
            tools=self.tools,
            options=self.options,
            max_tokens=self.max_tokens,
            timeout=timeout,
            trace_id=trace_id,
        )


def parse_chat_completion(body: bytes) -> ChatCompletion:
    """Decode the body of a request.

    Raises `InvalidInput` with status 400, like OpenAI's API, and with the name of the field in its `details`.
    """
    try:
        value = json.loads(body)
    except ValueError as error:
        raise _invalid(f"the body is not JSON: {error}") from None
    if any(escape in body for escape in _ESCAPED_SURROGATES):
        try:
            json.dumps(value)
        except ValueError as error:
            raise _invalid(str(error)) from None
    fields = _Fields(value, [])
    model = fields.text("model", filled=True)
    messages = tuple(_message(each) for each in fields.objects("messages", filled=True))
    tools = tuple(_tool(each) for each in fields.objects("tools"))
    stream = fields.boolean("stream")
    stream_options = fields.object("stream_options")
    limits = [fields.number(name) for name in ("max_tokens", "max_completion_tokens")]
    if fields.number("n") not in (None, 1):
        raise fields.invalid("n", "must be 1: only one choice per request is supported")
    known = {"model", "messages", "tools", "stream", "stream_options", "n"}
    return ChatCompletion(
        model=model,
        messages=messages,
        tools=tools,
        stream=stream,
        include_usage=stream_options is not None and stream_options.boolean("include_usage"),
        max_tokens=min((limit for limit in limits if limit is not None), default=None),
        options={name: item for name, item in value.items() if name not in known},
    )


class _Fields:
    """The fields of one object of the request. Every method raises `InvalidInput` with the name of the field."""

    def __init__(self, value: Any, place: list[str]) -> None:
        self.place = place
        if not isinstance(value, dict):
            raise _invalid(f"{shown_place(place) or 'the body'} must be an object, not {_kind(value)}", place)
        self.value: dict[str, Any] = value

    def invalid(self, name: str, why: str) -> InvalidInput:
        """Create the exception for a field."""
        place = [*self.place, name]
        return _invalid(f"{shown_place(place)} {why}", place)

    def text(self, name: str, *, filled: bool = False) -> str:
        """Return a required string, which must not be empty if `filled`."""
        value = self._of_kind(name, "a string", lambda value: isinstance(value, str), needed=True)
        if filled and not value:
            raise self.invalid(name, "must not be empty")
        return str(value)

    def optional_text(self, name: str) -> str | None:
        """Return a string, or None if it is missing."""
        value = self._of_kind(name, "a string", lambda value: isinstance(value, str))
        return None if value is None else str(value)

    def boolean(self, name: str) -> bool:
        """Return a Boolean, False if it is missing."""
        return bool(self._of_kind(name, "true or false", lambda value: isinstance(value, bool)))

    def number(self, name: str) -> int | None:
        """Return a whole number of 1 or more, which may be written `1.0`, or None if it is missing."""
        value = self._of_kind(name, "a whole number", _is_whole)
        if value is not None and value < 1:
            raise self.invalid(name, f"must be 1 or more, not {value}")
        return None if value is None else int(value)

    def object(self, name: str, *, needed: bool = False) -> _Fields | None:
        """Return an object, or None if it is missing and not `needed`."""
        value = self._of_kind(name, "an object", lambda value: isinstance(value, dict), needed=needed)
        return None if value is None else _Fields(value, [*self.place, name])

    def objects(self, name: str, *, filled: bool = False) -> Iterator[_Fields]:
        """Return the objects of a list, which must not be empty if `filled`."""
        values = self._of_kind(name, "a list", lambda value: isinstance(value, list), needed=filled)
        if filled and not values:
            raise self.invalid(name, "must not be empty")
        for index, value in enumerate(values or []):
            yield _Fields(value, [*self.place, name, str(index)])

    def _of_kind(self, name: str, called: str, fits: Callable[[Any], bool], *, needed: bool = False) -> Any:
        value = self.value.get(name, _MISSING)
        if value is _MISSING and needed:
            raise self.invalid(name, "is missing")
        if value is _MISSING or (value is None and not needed):
            return None
        if not fits(value):
            raise self.invalid(name, f"must be {called}, not {_kind(value)}")
        return value


def _message(fields: _Fields) -> Message:
    """Check a message, and return it as received."""
    role = fields.text("role")
    if role not in ROLES:
        raise fields.invalid("role", f"must be one of {', '.join(ROLES)}, not {role[:40]!r}")
    fields.optional_text("name")
    if role == "tool":
        fields.text("tool_call_id")
    if isinstance(fields.value.get("content"), list):
        for part in fields.objects("content"):
            if part.text("type") == "text":
                part.text("text")
    elif role == "assistant":
        if fields.optional_text("content") is None and not any(map(fields.value.get, _IN_PLACE_OF_CONTENT)):
            raise fields.invalid("content", "is missing: an assistant's message has content or tool_calls")
    elif not isinstance(fields.value.get("content"), str):
        if "content" not in fields.value:
            raise fields.invalid("content", "is missing")
        raise fields.invalid("content", f"must be a string or a list, not {_kind(fields.value['content'])}")
    for call in fields.objects("tool_calls"):
        call.text("id")
        if (function := call.object("function", needed=call.value.get("type", "function") == "function")) is not None:
            function.text("name")
            function.text("arguments")
    return fields.value


def _tool(fields: _Fields) -> dict[str, Any]:
    """Check the definition of a tool, and return it as received."""
    if fields.text("type") == "function":
        function = fields.object("function", needed=True)
        assert function is not None, "`needed` raises if it is missing"
        function.text("name", filled=True)
        function.optional_text("description")
        function.object("parameters")
    return fields.value


def _invalid(message: str, place: Sequence[str] = ()) -> InvalidInput:
    problem = FieldError(loc=["body", *place], msg=message, type="value_error")
    return InvalidInput(message, None, [problem], status_code=400)


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and value.is_integer())


def _kind(value: Any) -> str:
    """Return the name of a JSON value's type."""
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), "null")
