"""Every text that a model may read is found, wherever it stands in a request to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hestiaos_local.execution import Work, estimate_input, further_texts, with_texts

SAID = "over there"
FUNCTION = {"name": "look", "description": SAID, "parameters": {"type": "object", "properties": {}}}


def _call(arguments: str) -> dict[str, Any]:
    return {"id": "1", "type": "function", "function": {"name": "look", "arguments": arguments}}


MESSAGES: list[dict[str, Any]] = [
    {"role": "user", "name": SAID, "content": "x"},
    {"role": "assistant", "content": "x", "refusal": SAID},
    {"role": "assistant", "content": "x", "reasoning_content": SAID},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": SAID}]},
    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"https://example.com/{SAID}"}}]},
    {"role": "user", "content": [{"type": "file", "file": {"filename": SAID, "file_data": "AAAA"}}]},
    {"role": "user", "content": [{"type": "text", "text": "x", "more": [{SAID: 1}]}]},
    {"role": "user", "content": [{"type": SAID}]},
    {"role": "tool", "tool_call_id": SAID, "content": "x"},
    {"role": "assistant", "tool_calls": [_call(f'{{"at": "{SAID}"}}')]},
    {"role": "assistant", "tool_calls": [_call(r'{"at": "\u006fver there"}')]},
    {"role": "assistant", "content": None, "function_call": {"name": "look", "arguments": f'{{"{SAID}": 1, '}},
]

OPTIONS: list[dict[str, Any]] = [
    {"functions": [FUNCTION]},
    {"prediction": {"type": "content", "content": SAID}},
    {"chat_template_kwargs": {"documents": [{"title": SAID}]}},
    {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": [SAID]}}}},
    {"stop": [SAID]},
    {"grammar": f'root ::= "{SAID}"'},
]

WORKS = [
    *(Work(messages=[message]) for message in MESSAGES),
    *(Work(messages=[], options=options) for options in OPTIONS),
    Work(messages=[], tools=[{"type": "function", "function": FUNCTION}]),
]


@pytest.mark.parametrize("work", WORKS)
def test_a_text_is_found_and_replaced(work: Work) -> None:
    assert any(SAID in text for text in further_texts(work))
    whole = [*work.messages, *work.tools, work.options]
    changed = json.dumps(with_texts(whole, lambda text: text.replace(SAID, "here")))
    assert SAID not in changed.replace(r"\\u006f", "o")
    assert "here" in changed


@pytest.mark.parametrize("work", WORKS)
def test_a_text_counts_as_read(work: Work) -> None:
    assert estimate_input(work) >= 2


def test_each_text_is_found_once() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [{"role": "user", "content": "hello", "name": "n"}, {"role": "user", "content": parts, "name": "n"}]
    assert further_texts(Work(messages=messages, options={"stop": ["hello", ""]})) == ("n",)


@pytest.mark.parametrize(
    "value",
    [
        {"role": "user", "content": None},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg=="}},
        {"type": "object", "properties": {"id": {"type": ["string", "null"]}}, "required": []},
    ],
)
def test_what_says_nothing_is_left_as_it_is(value: Any) -> None:
    assert with_texts(value, lambda text: "changed") == value


@pytest.mark.parametrize("url", ["data:text/plain,over there", "data:;base64,over there"])
def test_an_address_that_is_a_text(url: str) -> None:
    assert with_texts({"image_url": {"url": url}}, lambda text: "changed") == {"image_url": {"url": "changed"}}


def test_the_name_of_a_kind_is_a_text_where_no_kind_stands() -> None:
    assert with_texts({"role": "tool", "content": "tool"}, str.upper) == {"role": "tool", "content": "TOOL"}
