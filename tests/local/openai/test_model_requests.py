"""What a model server is sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from attrs import evolve

from hestiaos_local.execution import Work
from hestiaos_local.openai import chat_request, model_names, models_request
from hestiaos_proto import InvalidInput, Redactor, ServerError, __version__

MESSAGES = [{"role": "user", "content": "hi"}]
WORK = Work(messages=MESSAGES)


def body_of(work: Work, *, stream: bool = True) -> Any:
    return json.loads(chat_request(work, model="m", key=None, stream=stream).body)


def test_a_stream_is_asked_for_its_usage() -> None:
    request = chat_request(WORK, model="m", key="sk-4711", stream=True)
    assert (request.method, request.path) == ("POST", "/chat/completions")
    assert request.headers == {
        "Accept": "text/event-stream",
        "Accept-Encoding": "identity",
        "Authorization": "Bearer sk-4711",
        "Content-Type": "application/json",
        "User-Agent": f"hestiaos/{__version__}",
    }
    assert json.loads(request.body) == {
        "model": "m",
        "messages": MESSAGES,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_plain_response() -> None:
    assert chat_request(WORK, model="m", key=None, stream=False).headers["Accept"] == "application/json"
    assert body_of(WORK, stream=False) == {"model": "m", "messages": MESSAGES, "stream": False}


def test_the_key_is_not_shown() -> None:
    for request in (chat_request(WORK, model="m", key="sk-4711", stream=True), models_request(key="sk-4711")):
        assert "4711" not in repr(request)
        assert request.headers["Authorization"] == "Bearer sk-4711"
    assert "Authorization" not in models_request(key=None).headers


def test_options_are_passed_on_below_what_we_say() -> None:
    options = {"grammar": 'root ::= "a"', "seed": 1, "model": "other", "stream": False, "stream_options": {"x": 1}}
    body = body_of(evolve(WORK, options=options))
    assert (body["grammar"], body["seed"], body["model"], body["stream"]) == ('root ::= "a"', 1, "m", True)
    assert body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body_of(evolve(WORK, options=options), stream=False)


def test_tools() -> None:
    tool = {"type": "function", "function": {"name": "look"}}
    assert body_of(evolve(WORK, tools=(tool,)))["tools"] == [tool]


@pytest.mark.parametrize(
    ("options", "limit", "sent"),
    [
        ({}, 5, {"max_tokens": 5}),
        ({"max_tokens": 9}, 5, {"max_tokens": 5}),
        ({"max_completion_tokens": 9}, 5, {"max_completion_tokens": 5}),
        ({"max_completion_tokens": 9, "max_tokens": 8}, 5, {"max_completion_tokens": 5}),
        ({}, None, {}),
        ({"n_predict": -1}, 5, {"max_tokens": 5}),
        ({"n_predict": 9}, 5, {"max_tokens": 5}),
        ({"n_predict": 3}, 5, {"max_tokens": 3}),
        ({"n_predict": "9"}, 5, {"max_tokens": 5}),
        ({"n_predict": 9}, None, {"n_predict": 9}),
    ],
)
def test_the_limit_has_the_name_that_the_caller_used(options: dict[str, Any], limit: int | None, sent: Any) -> None:
    body = body_of(evolve(WORK, options=options, max_tokens=limit))
    assert {name: value for name, value in body.items() if name.startswith(("max_", "n_"))} == sent


@pytest.mark.parametrize("content", ["\ud83d", float("nan"), {1}])
def test_what_json_cannot_say_is_refused(content: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be sent to the model server"):
        body_of(Work(messages=[{"role": "user", "content": content}]))


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"data": [{"id": "a"}, {"id": "b"}]}, ["a", "b"]),
        ({"data": []}, []),
        ({"data": None}, []),
        ({"data": [{"id": ""}, {"id": 7}, {}, 7, {"id": "a"}]}, ["a"]),
    ],
)
def test_model_names(value: Any, names: list[str]) -> None:
    assert (models_request(key=None).method, models_request(key=None).path) == ("GET", "/models")
    assert model_names(json.dumps(value).encode()) == names


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"data": {}}', b'{"models": []}'])
def test_what_is_not_a_list_of_models(body: bytes) -> None:
    with pytest.raises(ServerError, match="its list of models"):
        model_names(body)


def test_a_list_that_repeats_the_key() -> None:
    with pytest.raises(ServerError, match=r"\*\*\*"):
        model_names(b"sk-4711", redactor=Redactor("sk-4711"))
