"""A session belongs to the API key that began it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hestiaos_local import Platform
from hestiaos_local.execution import Work, function_executor
from hestiaos_proto import Config, NotFound, Operation, operations, parse_request


@pytest.fixture
def heard() -> list[list[Any]]:
    return []


@pytest.fixture
def platform(heard: list[list[Any]]) -> Iterator[Platform]:
    def model(work: Work) -> str:
        heard.append([dict(message) for message in work.messages])
        return "fine"

    with Platform(executor=function_executor(model)) as platform:
        yield platform


def answer(platform: Platform, operation: Operation[Any], key: str | None) -> Any:
    request = operation.request(Config())
    return platform.answer(parse_request(request.method, request.target, {}, request.body), key=key)


def test_its_own_key_goes_on(platform: Platform, heard: list[list[Any]]) -> None:
    first = answer(platform, operations.chat("the word is tango"), "alice")
    answer(platform, operations.chat("and?", session_id=first.session_id), "alice")
    assert heard[-1] == [
        {"role": "user", "content": "the word is tango"},
        {"role": "assistant", "content": "fine"},
        {"role": "user", "content": "and?"},
    ]


@pytest.mark.parametrize("operation", [operations.chat, operations.chat_stream])
def test_another_key_does_not(platform: Platform, heard: list[list[Any]], operation: Any) -> None:
    session = answer(platform, operations.chat("the word is tango", session_id="s"), "alice").session_id
    with pytest.raises(NotFound, match="belongs to another API key") as caught:
        list(answer(platform, operation("and?", session_id=session), "bob"))
    assert caught.value.code == "SESSION_NOT_FOUND"
    assert len(heard) == 1
    assert answer(platform, operations.get_session(session), "reader").messages == [
        {"role": "user", "content": "the word is tango", "key": "alice"},
        {"role": "assistant", "content": "fine"},
    ]


def test_a_session_without_a_key_is_of_all(platform: Platform, heard: list[list[Any]]) -> None:
    session = answer(platform, operations.chat("hello"), None).session_id
    answer(platform, operations.chat("again", session_id=session), "alice")
    answer(platform, operations.chat("and", session_id=session), None)
    with pytest.raises(NotFound):
        answer(platform, operations.chat("more", session_id=session), "bob")
    assert len(heard) == 3
