"""An error of a model server whose body is not whole is not quoted: a secret may be cut at its end."""

from __future__ import annotations

import pytest

from hestiaos_local.openai import ModelResponse
from hestiaos_proto import Redactor, StatusError

KEY = "sk-4711-0815"
MOST = 64 * 1024
WHOLE = KEY * (MOST // len(KEY))  # it is redacted to less than a quotation has


def failed(*pieces: bytes) -> str:
    """The message for a response of status 500 with this body."""
    response = ModelResponse(500, [], redactor=_Short(KEY))
    for piece in pieces:
        response.receive_data(piece)
    if not response.complete:
        response.receive_data(b"")
    assert response.complete
    with pytest.raises(StatusError) as caught:
        _ = response.body
    return caught.value.message


class _Short(Redactor):
    """Redacts all that is known in a row at once, as a pattern of a policy may."""

    def text(self, text: str) -> str:
        return text.replace(WHOLE, "[keys]").replace(KEY, "[key]")


def test_a_whole_body_is_quoted_up_to_its_limit() -> None:
    assert failed(WHOLE.encode()) == "the model server failed: status 500: '[keys]'"
    assert failed(b"x" * MOST) == f"the model server failed: status 500: '{'x' * 80}'…"


@pytest.mark.parametrize("size", [1, 100, MOST])
def test_a_body_that_is_too_large_is_not(size: int) -> None:
    body = (WHOLE + KEY)[: MOST + 1].encode()
    pieces = [body[place : place + size] for place in range(0, len(body), size)]
    assert failed(*pieces) == "the model server failed: status 500: its body is too large, or was cut off"
