"""`/openapi.json`: it is valid, has every operation and every resource, and says of bodies what the platform does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from hestiaos_local.openai import CHAT_REQUEST, parse_chat_completion
from hestiaos_proto import ROUTES, InvalidInput
from tests.support.raw_client import RawClient

RESOURCES = {"/v1/chat/completions": "post", "/v1/models": "get", "/openapi.json": "get", "/metrics": "get"}


def document(url: str) -> Any:
    response = httpx.get(f"{url}/openapi.json")
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    return response.json()


@pytest.mark.parametrize("api_key", [None, "k"])
def test_it_is_valid_and_complete(start: Callable[..., str], api_key: str | None) -> None:
    found = document(start(api_key=api_key))  # no key is sent
    validate(found)
    operations = {(path, method) for path, methods in found["paths"].items() for method in methods}
    expected = {(path, route.method.lower()) for route in ROUTES.values() for path in (route.path, *route.aliases)}
    assert operations == expected | set(RESOURCES.items())
    assert ("securitySchemes" in found["components"]) == (api_key is not None)


def test_what_is_executed_once_for_a_key_says_so(start: Callable[..., str]) -> None:
    paths = document(start())["paths"]
    with_key = {
        described["operationId"]
        for methods in paths.values()
        for described in methods.values()
        if "Idempotency-Key" in [each["name"] for each in described.get("parameters", [])]
    }
    assert with_key == {"run", "run_stream", "chat", "chat_stream", "run_agent"}


def test_its_answers_are_those_of_the_platform(start: Callable[..., str]) -> None:
    url = start()
    found = document(url)
    schema = found["paths"]["/api/v1/run"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    resolved = found["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    answered = httpx.post(f"{url}/api/v1/run", json={"input": "hi"}).json()
    Draft202012Validator(resolved).validate(answered)
    assert set(answered) == set(resolved["properties"])


def test_arguments_of_a_query_and_lists(start: Callable[..., str]) -> None:
    found = document(start())
    listed = found["paths"]["/api/v1/traces"]["get"]
    assert listed["parameters"] == [
        {
            "name": "limit",
            "in": "query",
            "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        },
        {"name": "decision", "in": "query", "schema": {"type": "string", "enum": ["ALLOW", "THROTTLE", "BLOCK"]}},
        {"name": "before", "in": "query", "schema": {"type": "string"}},
    ]
    assert listed["responses"]["200"]["content"]["application/json"]["schema"] == {
        "type": "object",
        "properties": {"traces": {"type": "array", "items": {"$ref": "#/components/schemas/TraceResponse"}}},
        "required": ["traces"],
    }
    keys = found["paths"]["/api/v1/secrets"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert keys["properties"] == {"keys": {"type": "array", "items": {"type": "string"}}}
    assert "AgentInfo" in found["components"]["schemas"]


@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        ({"input": "x"}, True),
        ({"input": "x", "output": None, "tool": None, "arguments": None}, True),
        ({"tool": "t", "arguments": {}}, True),
        ({"input": "x", "arguments": {}}, False),
        ({"input": "x", "output": "x"}, False),
        ({"tool": None, "arguments": {}}, False),
        ({}, False),
    ],
    ids=json.dumps,
)
def test_the_schema_of_what_is_judged_accepts_what_is_accepted(
    start: Callable[..., str], body: dict[str, Any], accepted: bool
) -> None:
    url = start()
    schema = document(url)["paths"]["/api/v1/policy/judge"]["post"]["requestBody"]["content"]["application/json"]
    assert Draft202012Validator(schema["schema"]).is_valid(body) == accepted
    assert (httpx.post(f"{url}/api/v1/policy/judge", json=body).status_code == 200) == accepted


USER = {"role": "user", "content": "hi"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"messages": []},
        {"messages": [{"role": "wizard", "content": "hi"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image"}]}]},
        {"messages": [{"role": "assistant", "content": None}]},
        {"messages": [{"role": "assistant", "tool_calls": [CALL]}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "1"}]}]},
        {"messages": [{"role": "tool", "content": "hi"}]},
        {"messages": [{"role": "tool", "content": "hi", "tool_call_id": "1"}]},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"tools": [{"type": "function"}]},
        {"n": 2},
        {"max_tokens": 0},
        {"model": ""},
    ],
    ids=json.dumps,
)
def test_the_schema_of_a_completion_s_request_accepts_what_is_accepted(fields: dict[str, Any]) -> None:
    request = {"model": "m", "messages": [USER], **fields}
    try:
        parse_chat_completion(json.dumps(request).encode())
        accepted = True
    except InvalidInput:
        accepted = False
    assert Draft202012Validator(CHAT_REQUEST).is_valid(request) == accepted


def test_head(start: Callable[..., str]) -> None:
    with RawClient(start()) as client:
        client.send(b"HEAD /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.head()[0] == 200
        client.send(b"POST /openapi.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        assert client.response()[0] == 405
