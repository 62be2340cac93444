"""JSON Schemas (draft 2020-12) of the requests and responses of OpenAI's API.

`parse_chat_completion` accepts every valid request, which may have more fields than are described here.
"""

from __future__ import annotations

from typing import Any

from hestiaos_local.openai._chat_completions import ROLES

__all__ = ["CHAT_COMPLETION", "CHAT_REQUEST", "ERROR", "MODEL_LIST"]

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_LIMIT = {"type": ["integer", "null"], "minimum": 1}
_FUNCTION = {"type": "object", "properties": {"name": _TEXT, "arguments": _TEXT}, "required": ["name", "arguments"]}
_IS_FUNCTION = {"properties": {"type": {"const": "function"}}}
_CALL = {
    "type": "object",
    "properties": {"id": _TEXT, "function": {"anyOf": [_FUNCTION, {"type": "null"}]}},
    "required": ["id"],
    "if": _IS_FUNCTION,  # the default type
    "then": {"properties": {"function": _FUNCTION}, "required": ["function"]},
}


def _array(items: dict[str, Any], **keywords: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **keywords}


def _objects(fields: dict[str, Any], **keywords: Any) -> dict[str, Any]:
    """Return the schema of an object with these required fields."""
    return {"type": "object", "properties": fields, "required": list(fields), **keywords}


_PART = {
    "type": "object",
    "properties": {"type": _TEXT},
    "required": ["type"],
    "if": {"properties": {"type": {"const": "text"}}},
    "then": {"properties": {"text": _TEXT}, "required": ["text"]},
}
_CONTENT = {"anyOf": [_TEXT, _array(_PART)]}


def _message(roles: list[str], fields: dict[str, Any], required: list[str]) -> dict[str, Any]:
    common = {
        "role": {"enum": roles},
        "name": {"type": ["string", "null"]},
        "tool_calls": {"type": ["array", "null"], "items": _CALL},
    }
    return {"type": "object", "properties": common | fields, "required": ["role", *required]}


_MESSAGES = {
    "anyOf": [
        _message([role for role in ROLES if role not in ("assistant", "tool")], {"content": _CONTENT}, ["content"]),
        _message(["assistant"], {"content": _CONTENT}, ["content"]),
        _message(["assistant"], {"content": {"type": "null"}, "tool_calls": _array(_CALL, minItems=1)}, ["tool_calls"]),
        _message(["tool"], {"content": _CONTENT, "tool_call_id": _TEXT}, ["content", "tool_call_id"]),
    ]
}
_DEFINITION = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "description": {"type": ["string", "null"]},
        "parameters": {"type": ["object", "null"]},
    },
    "required": ["name"],
}
_TOOL = {
    "type": "object",
    "properties": {"type": _TEXT},
    "required": ["type"],
    "if": _IS_FUNCTION,
    "then": {"properties": {"function": _DEFINITION}, "required": ["function"]},
}

CHAT_REQUEST: dict[str, Any] = {
    "type": "object",
    "properties": {
        "model": {"type": "string", "minLength": 1},
        "messages": _array(_MESSAGES, minItems=1),
        "tools": {"type": ["array", "null"], "items": _TOOL},
        "stream": {"type": ["boolean", "null"]},
        "stream_options": {"type": ["object", "null"], "properties": {"include_usage": {"type": ["boolean", "null"]}}},
        "max_tokens": _LIMIT,
        "max_completion_tokens": _LIMIT,
        "n": {"enum": [1, None]},
    },
    "required": ["model", "messages"],
    "description": "Other fields are passed on to the model server.",
}
"""The body of a request for a chat completion."""

_ANSWER = {
    "type": "object",
    "properties": {
        "role": {"const": "assistant"},
        "content": {"type": ["string", "null"]},
        "tool_calls": _array(_CALL),
    },
    "required": ["role", "content"],
}
_CHOICE = {
    "type": "object",
    "properties": {"index": {"const": 0}, "message": _ANSWER, "finish_reason": _TEXT},
    "required": ["index", "message", "finish_reason"],
}
_USAGE = _objects(dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), _COUNT))

CHAT_COMPLETION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": _TEXT,
        "choices": _array(_CHOICE, minItems=1, maxItems=1),
        "usage": _USAGE,
    },
    "required": ["id", "object", "created", "model", "choices"],
}
"""The body of a completion without streaming."""

MODEL_LIST: dict[str, Any] = _objects(
    {
        "object": {"const": "list"},
        "data": _array(
            _objects({"id": _TEXT, "object": {"const": "model"}, "created": {"type": "integer"}, "owned_by": _TEXT})
        ),
    }
)
"""The body of a response with the models."""

ERROR: dict[str, Any] = _objects(
    {
        "error": {
            "type": "object",
            "properties": {
                "message": _TEXT,
                "type": _TEXT,
                "param": {"type": ["string", "null"]},
                "code": _TEXT,
                "trace_id": _TEXT,
            },
            "required": ["message", "type", "param", "code"],
        }
    }
)
"""The body of an error."""
