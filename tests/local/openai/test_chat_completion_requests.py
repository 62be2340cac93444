"""What OpenAI clients ask for, and how a request that does not fit is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hestiaos_local.openai import encode_error, parse_chat_completion
from hestiaos_proto import InvalidInput

USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "look", "description": "…", "parameters": {"type": "object"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def body(**fields: Any) -> bytes:
    """A body that is complete, but for the fields given."""
    return json.dumps({"model": "m", "messages": [USER]} | fields).encode()


def refusal(data: bytes) -> tuple[str, str | None]:
    """The message and the field of a refusal, as the client is told."""
    with pytest.raises(InvalidInput) as caught:
        parse_chat_completion(data)
    status, encoded = encode_error(caught.value)
    error = json.loads(encoded)["error"]
    assert (status, caught.value.status_code, error["type"]) == (400, 400, "invalid_request_error")
    return error["message"], error["param"]


def test_the_least_request() -> None:
    request = parse_chat_completion(body())
    assert (request.model, list(request.messages), list(request.tools)) == ("m", [USER], [])
    assert (request.stream, request.include_usage, request.max_tokens, request.options) == (False, False, None, {})


def test_every_field() -> None:
    request = parse_chat_completion(
        body(stream=True, stream_options={"include_usage": True}, tools=[TOOL], max_tokens=7, n=1, seed=1, top_k=None)
    )
    assert (request.stream, request.include_usage, list(request.tools)) == (True, True, [TOOL])
    assert request.max_tokens == 7
    assert request.options == {"max_tokens": 7, "seed": 1, "top_k": None}


def test_its_work() -> None:
    work = parse_chat_completion(body(tools=[TOOL], max_tokens=7, seed=1)).work(timeout=2.5, trace_id="t1")
    assert (work.model, list(work.messages), list(work.tools)) == ("m", [USER], [TOOL])
    assert (work.max_tokens, work.timeout, work.trace_id) == (7, 2.5, "t1")
    assert work.options == {"max_tokens": 7, "seed": 1}


def test_neither_request_nor_work_shows_what_is_said() -> None:
    request = parse_chat_completion(body(messages=[{"role": "user", "content": "a secret"}], user="a secret"))
    assert "secret" not in f"{request!r} {request.work()!r}"


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 7}, 7),
        ({"max_tokens": 7, "max_completion_tokens": 5}, 5),
        ({"max_tokens": None, "max_completion_tokens": 5}, 5),
        ({"max_tokens": None}, None),
    ],
)
def test_the_lower_limit_counts(fields: dict[str, Any], limit: int | None) -> None:
    assert parse_chat_completion(body(**fields)).max_tokens == limit


@pytest.mark.parametrize("options", [None, {}, {"include_usage": None}, {"include_usage": False}, {"other": 1}])
def test_usage_is_not_asked_for(options: Any) -> None:
    assert not parse_chat_completion(body(stream=None, stream_options=options)).include_usage


@pytest.mark.parametrize(
    "message",
    [
        {"role": "system", "content": "be kind"},
        {"role": "developer", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "user", "content": "hi", "name": "ann", "further": 1},
        {"role": "assistant", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "assistant", "tool_calls": [CALL, {"id": "c2", "type": "custom", "custom": {"name": "x"}}]},
        {"role": "assistant", "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "assistant", "content": None, "refusal": "I cannot", "tool_calls": None},
        {"role": "assistant", "audio": {"id": "a1"}},
        {"role": "tool", "content": "sunny", "tool_call_id": "c1"},
        {"role": "function", "content": "sunny", "name": "look"},
    ],
)
def test_messages_are_kept_as_they_came(message: dict[str, Any]) -> None:
    assert list(parse_chat_completion(body(messages=[message])).messages) == [message]


@pytest.mark.parametrize("tool", [TOOL, {"type": "function", "function": {"name": "a"}}, {"type": "custom", "x": 1}])
def test_tools_are_kept_as_they_came(tool: dict[str, Any]) -> None:
    assert list(parse_chat_completion(body(tools=[tool])).tools) == [tool]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "the body is not JSON: Expecting value, at line 1 column 1"),
        (b"{", "the body is not JSON: Expecting property name enclosed in double quotes, at line 1 column 2"),
        (b'{"a": NaN}', "the body is not JSON: NaN is not JSON"),
        (b"\xff", "the body is not JSON: byte 0 is not UTF-8"),
        (rb'{"a": "\ud83d"}', "a lone surrogate (U+D83D) cannot be sent as UTF-8"),
        (rb'{"a": {"\uDE00": 1}}', "a lone surrogate (U+DE00) cannot be sent as UTF-8"),
        (b"[]", "the body must be an object, not a list"),
        (b"7", "the body must be an object, not a number"),
        (b"null", "the body must be an object, not null"),
    ],
)
def test_a_body_that_is_not_an_object(data: bytes, told: str) -> None:
    assert refusal(data) == (told, None)


@pytest.mark.parametrize(
    ("fields", "param", "told"),
    [
        ({"model": None}, "model", "must be a string, not null"),
        ({"model": 7}, "model", "must be a string, not a number"),
        ({"model": ""}, "model", "must not be empty"),
        ({"messages": None}, "messages", "must be a list, not null"),
        ({"messages": {}}, "messages", "must be a list, not an object"),
        ({"messages": "hi"}, "messages", "must be a list, not a string"),
        ({"messages": []}, "messages", "must not be empty"),
        ({"messages": [USER, "hi"]}, "messages[1]", "must be an object, not a string"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "is missing"),
        (
            {"messages": [{"role": "king", "content": "hi"}]},
            "messages[0].role",
            "must be one of system, developer, user, assistant, tool, function, not 'king'",
        ),
        ({"messages": [{"role": True, "content": "hi"}]}, "messages[0].role", "must be a string, not a boolean"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "is missing"),
        (
            {"messages": [{"role": "user", "content": None}]},
            "messages[0].content",
            "must be a string or a list, not null",
        ),
        (
            {"messages": [{"role": "user", "content": 1.5}]},
            "messages[0].content",
            "must be a string or a list, not a number",
        ),
        ({"messages": [{"role": "user", "content": ["hi"]}]}, "messages[0].content[0]", "must be an object"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type", "is missing"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text", "is missing"),
        ({"messages": [USER | {"name": 7}]}, "messages[0].name", "must be a string, not a number"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "is missing"),
        (
            {"messages": [{"role": "assistant", "content": None}]},
            "messages[0].content",
            "is missing: an assistant's message has content or tool_calls",
        ),
        ({"messages": [{"role": "assistant", "content": {}}]}, "messages[0].content", "must be a string"),
        ({"messages": [USER | {"tool_calls": 7}]}, "messages[0].tool_calls", "must be a list, not a number"),
        ({"messages": [USER | {"tool_calls": [{}]}]}, "messages[0].tool_calls[0].id", "is missing"),
        ({"messages": [USER | {"tool_calls": [{"id": "c"}]}]}, "messages[0].tool_calls[0].function", "is missing"),
        (
            {"messages": [USER | {"tool_calls": [{"id": "c", "function": {"name": "a", "arguments": {}}}]}]},
            "messages[0].tool_calls[0].function.arguments",
            "must be a string, not an object",
        ),
        ({"tools": {}}, "tools", "must be a list, not an object"),
        ({"tools": [7]}, "tools[0]", "must be an object, not a number"),
        ({"tools": [{}]}, "tools[0].type", "is missing"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "is missing"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "is missing"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name", "must not be empty"),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": []}}]},
            "tools[0].function.parameters",
            "must be an object, not a list",
        ),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "description": 7}}]},
            "tools[0].function.description",
            "must be a string, not a number",
        ),
        ({"stream": "yes"}, "stream", "must be true or false, not a string"),
        ({"stream": 1}, "stream", "must be true or false, not a number"),
        ({"stream_options": True}, "stream_options", "must be an object, not a boolean"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage", "must be true or false"),
        ({"max_tokens": "7"}, "max_tokens", "must be a whole number, not a string"),
        ({"max_tokens": 7.5}, "max_tokens", "must be a whole number, not a number"),
        ({"max_tokens": True}, "max_tokens", "must be a whole number, not a boolean"),
        ({"max_tokens": 0}, "max_tokens", "must be 1 or more, not 0"),
        ({"max_completion_tokens": -1}, "max_completion_tokens", "must be 1 or more, not -1"),
        ({"n": 2}, "n", "must be 1: only one choice per request is supported"),
    ],
)
def test_a_field_that_does_not_fit_is_named(fields: dict[str, Any], param: str, told: str) -> None:
    message, named = refusal(body(**fields))
    assert named == param
    assert message.startswith(f"{param} {told}")


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_field_that_is_missing_is_named(missing: str) -> None:
    data = json.dumps({name: value for name, value in json.loads(body()).items() if name != missing}).encode()
    assert refusal(data) == (f"{missing} is missing", missing)
