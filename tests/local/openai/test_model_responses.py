"""A model server's response as it arrives: a completion, another answer, or a refusal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hestiaos_local.execution import Finish, Text, Usage
from hestiaos_local.openai import CompletionResponse, ModelResponse
from hestiaos_proto import (
    MAX_BODY_SIZE,
    ConnectionLost,
    HestiaError,
    RateLimited,
    Redactor,
    RemoteProtocolError,
    ServerError,
    TimedOut,
)
from tests.support.completions import chunk, done, plain, stream

KEY = "sk-4711"
HELLO = (chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk({}, "stop"))
USAGE = {"prompt_tokens": 3, "completion_tokens": 2}
LOST = (ConnectionLost("the connection was lost"), RemoteProtocolError("the peer broke HTTP/1.1"))


def model(status: int = 200, **headers: str) -> ModelResponse:
    fields = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return ModelResponse(status, fields, redactor=Redactor(KEY))


def completion(status: int = 200, content_type: str = "text/event-stream") -> CompletionResponse:
    headers = [(b"Content-Type", content_type.encode())]
    return CompletionResponse(status, headers, redactor=Redactor(KEY), id_prefix="call_")


class TestBodies:
    def test_a_body_comes_in_pieces(self) -> None:
        response = model()
        for data in (b"[1", b", 2]"):
            response.receive_data(data)
            assert not response.complete
        response.receive_data(b"")
        assert response.complete
        assert (response.stream, response.body) == (None, b"[1, 2]")

    def test_one_that_is_too_large(self) -> None:
        response = model()
        response.receive_data(b"x" * MAX_BODY_SIZE)
        with pytest.raises(ServerError, match=f"larger than {MAX_BODY_SIZE} bytes"):
            response.receive_data(b"x")

    @pytest.mark.parametrize("error", [*LOST, TimedOut("it sent nothing for too long")])
    def test_one_that_is_cut(self, error: HestiaError) -> None:
        response = model()
        response.receive_data(b"[1")
        with pytest.raises(type(error)) as caught:
            response.connection_lost(error)
        assert caught.value is error

    def test_a_content_coding_that_was_not_asked_for(self) -> None:
        with pytest.raises(ServerError) as caught:
            model(Content_Encoding=f"gzip-{KEY}")
        assert caught.value.code == "MODEL_PROTOCOL_ERROR"
        assert KEY not in str(caught.value)
        assert model(content_encoding="Identity").body == b""


class TestRefusals:
    def refusal(self, *pieces: bytes, **headers: str) -> str:
        response = model(429, **headers)
        for data in pieces:
            response.receive_data(data)
        with pytest.raises(RateLimited) as caught:
            _ = response.body
        assert response.complete
        assert caught.value.retry_after == (7.0 if headers else None)
        return caught.value.message

    def test_its_message_is_told_without_the_key(self) -> None:
        body = json.dumps({"error": {"message": f"not so often, {KEY}"}}).encode()
        assert self.refusal(body[:9], body[9:], b"", Retry_After="7").endswith("status 429: not so often, ***")

    def test_a_large_one_is_cut(self) -> None:
        """It need not end."""
        assert len(self.refusal(b"x" * (1 << 20))) < 1000

    @pytest.mark.parametrize("error", LOST)
    def test_one_that_is_cut_is_not_quoted(self, error: HestiaError) -> None:
        """A secret may be cut at its end. The status is enough."""
        response = model(429)
        response.receive_data(b"not so of")
        response.connection_lost(error)
        assert response.complete
        with pytest.raises(RateLimited, match="status 429: its body is too large, or was cut off"):
            _ = response.body


class TestCompletions:
    def test_a_stream(self) -> None:
        response = completion()
        assert response.stream is not None
        outputs: list[Any] = []
        for data in (stream(*HELLO[:2]), done(HELLO[2], {"choices": [], "usage": USAGE})):
            assert not response.finished
            response.receive_data(data)
            outputs += response.outputs()
        assert outputs == [Text("Hel"), Text("lo"), Usage(3, 2), Finish("stop")]
        assert response.finished

    def test_a_server_that_does_not_stream(self) -> None:
        response = completion(content_type="Application/JSON; charset=utf-8")
        assert (response.stream, response.finished) == (None, False)
        response.receive_data(plain({"content": "Hello"}, usage=USAGE))
        response.receive_data(b"")
        assert list(response.outputs()) == [Text("Hello"), Usage(3, 2), Finish("stop")]
        assert response.finished

    @pytest.mark.parametrize("error", LOST)
    def test_a_lost_connection_after_the_whole_answer(self, error: HestiaError) -> None:
        response = completion()
        response.receive_data(stream(*HELLO))
        response.connection_lost(error)
        assert [*response.outputs()][-1] == Finish("stop")

    @pytest.mark.parametrize("error", LOST)
    def test_a_lost_connection_before_it(self, error: HestiaError) -> None:
        response = completion()
        response.receive_data(stream(*HELLO[:2]))
        response.connection_lost(error)
        outputs = response.outputs()
        assert [next(outputs), next(outputs)] == [Text("Hel"), Text("lo")]
        with pytest.raises(ServerError) as caught:
            next(outputs)
        assert caught.value.code == "MODEL_STREAM_CUT"

    def test_a_silence_is_raised_also_after_the_whole_answer(self) -> None:
        """Its usage may still have been to come."""
        response = completion()
        response.receive_data(stream(*HELLO))
        with pytest.raises(TimedOut):
            response.connection_lost(TimedOut("it sent nothing for too long"))

    def test_a_refusal_of_a_stream(self) -> None:
        response = completion(500)
        assert response.stream is None
        response.receive_data(b'{"error": "CUDA"}')
        response.receive_data(b"")
        with pytest.raises(ServerError, match="CUDA"):
            response.outputs()
