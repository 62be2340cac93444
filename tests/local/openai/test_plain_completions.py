"""A plain response gives the outputs that its stream would have given."""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_local.execution import Finish, Text, Usage
from hestiaos_local.openai import completion_outputs
from tests.support.completions import plain, read_plain


def test_a_plain_response() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    outputs, error = read_plain(plain({"role": "assistant", "content": "Hello"}, "length", usage=usage))
    assert (outputs, error) == ([Text("Hello"), Usage(3, 2), Finish("length")], None)


@pytest.mark.parametrize("finish", [None, "stop"])
def test_an_answer_without_text(finish: str | None) -> None:
    assert list(completion_outputs(plain({"content": None}, finish))) == [Finish("stop")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MODEL_PROTOCOL_ERROR"),
        (b"<html>", "MODEL_PROTOCOL_ERROR"),
        (b"\xff", "MODEL_PROTOCOL_ERROR"),
        (b"[]", "MODEL_PROTOCOL_ERROR"),
        (plain(7), "MODEL_PROTOCOL_ERROR"),
        (b"{}", "MODEL_STREAM_CUT"),
        (b'{"choices": []}', "MODEL_STREAM_CUT"),
        (b'{"error": {"message": "no"}}', "MODEL_FAILED"),
    ],
)
def test_faults(body: bytes, code: str) -> None:
    outputs, error = read_plain(body)
    assert outputs == []
    assert error is not None
    assert error.code == code


def test_the_text_comes_before_a_fault() -> None:
    message: dict[str, Any] = {"content": "a", "tool_calls": [{"id": "c1"}]}
    outputs, error = read_plain(plain(message))
    assert outputs == [Text("a")]
    assert error is not None
