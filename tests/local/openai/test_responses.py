"""What OpenAI clients are answered with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hestiaos_local.execution import Finish, Output, Text, ToolCall, Usage
from hestiaos_local.openai import ChunkEncoder, encode_completion, encode_error, encode_models
from hestiaos_proto import (
    AuthenticationFailed,
    GovernanceBlock,
    InvalidInput,
    NotFound,
    RateLimited,
    ServerError,
    StatusError,
)
from tests.support.completions import DONE, read, read_plain

CALLS = [ToolCall("c1", "look", '{"city":"Paris"}'), ToolCall("c2", "go", "{}")]
ANSWERS: list[list[Output]] = [
    [Text("Hel"), Text("lo"), Usage(3, 2), Finish("stop")],
    [Text("a"), *CALLS, Usage(3, 2), Finish("tool_calls")],
    [*CALLS, Finish("tool_calls")],
    [Text("a"), Usage(1, 1, estimated=True), Finish("length")],
    [Finish("content_filter")],
]
HEAD = {"id": "chatcmpl-t1", "created": 1700000000, "model": "m"}


def encoder(*, include_usage: bool = False) -> ChunkEncoder:
    return ChunkEncoder(id="chatcmpl-t1", model="m", created=1700000000, include_usage=include_usage)


def chunks_of(data: bytes) -> list[Any]:
    """The JSON of a stream's events."""
    assert data.endswith(DONE)
    events = data.removesuffix(DONE).split(b"\n\n")[:-1]
    return [json.loads(event.removeprefix(b"data: ")) for event in events]


def encoded(outputs: list[Output], *, include_usage: bool = False) -> bytes:
    chunks = encoder(include_usage=include_usage)
    return chunks.start() + b"".join(map(chunks.send, outputs))


def said(outputs: list[Output]) -> list[Output]:
    """Outputs as the wire can say them: whether a usage is estimated is not on it."""
    return [Usage(each.prompt_tokens, each.completion_tokens) if isinstance(each, Usage) else each for each in outputs]


@pytest.mark.parametrize("outputs", ANSWERS)
def test_what_is_streamed_is_what_our_own_reader_reads(outputs: list[Output]) -> None:
    assert read(encoded(outputs, include_usage=True)) == (said(outputs), None)
    without = [output for output in outputs if not isinstance(output, Usage)]
    assert read(encoded(outputs)) == (without, None)


@pytest.mark.parametrize("outputs", ANSWERS)
def test_what_is_sent_whole_is_what_our_own_reader_reads(outputs: list[Output]) -> None:
    body = encode_completion(outputs, id="chatcmpl-t1", model="m", created=1700000000)
    joined = "".join(output.text for output in outputs if isinstance(output, Text))
    others = [output for output in said(outputs) if not isinstance(output, Text)]
    assert read_plain(body) == ([*([Text(joined)] if joined else []), *others], None)


def test_the_chunks_of_a_text() -> None:
    first, text, last = chunks_of(encoded([Text("a"), Usage(3, 2), Finish("stop")]))
    choice = {"index": 0, "logprobs": None, "finish_reason": None}
    head = HEAD | {"object": "chat.completion.chunk"}
    assert first == head | {"choices": [choice | {"delta": {"role": "assistant", "content": ""}}]}
    assert text == head | {"choices": [choice | {"delta": {"content": "a"}}]}
    assert last == head | {"choices": [choice | {"delta": {}, "finish_reason": "stop"}]}


def test_the_chunk_of_the_usage() -> None:
    *others, usage = chunks_of(encoded([Text("a"), Usage(3, 2), Finish("stop")], include_usage=True))
    assert [each["usage"] for each in others] == [None, None, None]
    assert usage["choices"] == []
    assert usage["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_the_chunks_of_tool_calls() -> None:
    chunks = chunks_of(encoded([*CALLS, Finish("tool_calls")]))[1:-1]
    assert [each["choices"][0]["delta"]["tool_calls"] for each in chunks] == [
        [{"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"city":"Paris"}'}}],
        [{"index": 1, "id": "c2", "type": "function", "function": {"name": "go", "arguments": "{}"}}],
    ]


def test_a_whole_completion() -> None:
    body = json.loads(encode_completion(ANSWERS[1], id="chatcmpl-t1", model="m", created=1700000000))
    message = body["choices"][0].pop("message")
    assert body == HEAD | {
        "object": "chat.completion",
        "choices": [{"index": 0, "logprobs": None, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    assert (message["role"], message["content"], len(message["tool_calls"])) == ("assistant", "a", 2)


@pytest.mark.parametrize(("outputs", "content"), [(ANSWERS[2], None), (ANSWERS[4], "")])
def test_a_content_without_text(outputs: list[Output], content: str | None) -> None:
    body = json.loads(encode_completion(outputs, id="i", model="m", created=1))
    assert body["choices"][0]["message"]["content"] == content


class TestFailing:
    def test_a_block_is_a_filtered_end_and_an_error(self) -> None:
        chunks = encoder()
        details = {"rule": "no-wiping", "reason": "destroys files"}
        data = chunks.start() + chunks.send(Text("a")) + chunks.fail(GovernanceBlock("t1", details=details))
        _, _, filtered, error = chunks_of(data)
        assert filtered["choices"][0]["finish_reason"] == "content_filter"
        assert error == {
            "error": {
                "message": "Request blocked by governance: destroys files",
                "type": "permission_error",
                "param": None,
                "code": "governance_block",
                "trace_id": "t1",
                "details": details | {"trace_id": "t1"},
            }
        }

    def test_a_failure_is_an_error(self) -> None:
        chunks = encoder()
        _, error = chunks_of(chunks.start() + chunks.fail(ServerError("no", code="MODEL_FAILED")))
        assert error == {"error": {"message": "no", "type": "server_error", "param": None, "code": "model_failed"}}


@pytest.mark.parametrize(
    ("error", "status", "kind", "param", "code"),
    [
        (AuthenticationFailed(), 401, "authentication_error", None, "authentication_failed"),
        (GovernanceBlock("t1"), 403, "permission_error", None, "governance_block"),
        (NotFound("no"), 404, "invalid_request_error", None, "not_found"),
        (NotFound("no", code="MODEL_NOT_FOUND"), 404, "invalid_request_error", "model", "model_not_found"),
        (InvalidInput("no"), 400, "invalid_request_error", None, "invalid_input"),
        (InvalidInput("no", None, []), 400, "invalid_request_error", None, "invalid_input"),
        (InvalidInput("no", None, ["x"]), 400, "invalid_request_error", None, "invalid_input"),
        (InvalidInput("no", None, [{"msg": "x"}]), 400, "invalid_request_error", None, "invalid_input"),
        (
            InvalidInput("no", None, [{"loc": ["body", "a", "0", "b"]}]),
            400,
            "invalid_request_error",
            "a[0].b",
            "invalid_input",
        ),
        (RateLimited("no", retry_after=7), 429, "rate_limit_error", None, "rate_limited"),
        (ServerError("no", status_code=503), 503, "server_error", None, "http_503"),
        (StatusError("no", status_code=415), 415, "invalid_request_error", None, "http_415"),
    ],
)
def test_errors(error: StatusError, status: int, kind: str, param: str | None, code: str) -> None:
    answered, body = encode_error(error)
    told = json.loads(body)["error"]
    assert (answered, told["type"], told["param"], told["code"]) == (status, kind, param, code)
    assert told["message"] == error.message
    assert told.get("trace_id") == error.trace_id


def test_the_list_of_models() -> None:
    assert json.loads(encode_models(["a"], created=7)) == {
        "object": "list",
        "data": [{"id": "a", "object": "model", "created": 7, "owned_by": "hestiaos"}],
    }
