"""The bytes that a client's end sends for an operation."""

from __future__ import annotations

import json
from random import Random

import pytest
from exchanging import (
    parsed,
    response,
)

from hestiaos_proto import (
    ClientConnection,
    Config,
    Runtime,
    Send,
    call_flow,
    operations,
)


class TestRequests:
    def test_a_get(self) -> None:
        method, target, headers, body = parsed(ClientConnection("http://h:81", "k-1").send(operations.health()))
        assert (method, target, body) == ("GET", "/api/v1/health", b"")
        assert headers["host"] == "h:81"
        assert headers["authorization"] == "Bearer k-1"
        assert headers["user-agent"].startswith("hestiaos-sdk/")
        assert "content-length" not in headers  # RFC 9110, section 8.6

    def test_a_post(self) -> None:
        method, target, headers, body = parsed(ClientConnection().send(operations.chat("é", session_id="s")))
        assert (method, target) == ("POST", "/api/chat")
        assert json.loads(body) == {"message": "é", "session_id": "s"}
        assert headers["content-length"] == str(len(body))
        assert headers["content-type"] == "application/json"
        assert "authorization" not in headers
        assert "transfer-encoding" not in headers

    def test_a_delete(self) -> None:
        method, target, headers, _ = parsed(ClientConnection().send(operations.delete_secret("k")))
        assert (method, target) == ("DELETE", "/api/secrets/k")
        assert "content-length" not in headers

    @pytest.mark.parametrize(
        ("key", "segment"),
        [
            ("../x", "..%2Fx"),
            ("..", "%2E%2E"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("100%", "100%25"),
            ("é\r\n 🏠", "%C3%A9%0D%0A%20%F0%9F%8F%A0"),
        ],
    )
    def test_a_path_parameter_is_one_segment(self, key: str, segment: str) -> None:
        assert parsed(ClientConnection().send(operations.get_secret(key)))[1] == f"/api/secrets/{segment}"

    @pytest.mark.parametrize(
        ("base_url", "host", "target"),
        [
            ("http://localhost:8000", "localhost:8000", "/api/v1/health"),
            ("https://h.example/", "h.example", "/api/v1/health"),
            ("http://h/hestia/v2/", "h", "/hestia/v2/api/v1/health"),
            ("http://[::1]:8000", "[::1]:8000", "/api/v1/health"),
        ],
    )
    def test_the_base_url(self, base_url: str, host: str, target: str) -> None:
        _, seen, headers, _ = parsed(ClientConnection(base_url).send(operations.health()))
        assert (seen, headers["host"]) == (target, host)

    def test_headers_of_the_config(self) -> None:
        connection = ClientConnection(config=Config(headers={"X-Team": "a", "User-Agent": "mine"}))
        headers = parsed(connection.send(operations.health()))[2]
        assert (headers["x-team"], headers["user-agent"]) == ("a", "mine")

    def test_an_idempotency_key(self) -> None:
        data = ClientConnection().send(operations.run("x"), idempotency_key="i-1")
        assert parsed(data)[2]["idempotency-key"] == "i-1"

    def test_a_step_of_a_call_is_taken_as_an_operation_is(self) -> None:
        config = Config(api_key="k-1", retries=1)
        steps = call_flow(operations.run("x"), config, Runtime(lambda: 0.0, lambda: 0.0, Random(1)))
        step = next(steps)
        assert isinstance(step, Send)
        connection = ClientConnection(config=config)
        headers = parsed(connection.send(step))[2]
        assert len(headers["idempotency-key"]) == 32
        connection.receive_data(response(b"{}", status="503 Busy"))
        steps.send(connection.response)
        again = steps.send(None)
        assert isinstance(again, Send)
        assert parsed(connection.send(again))[2]["idempotency-key"] == headers["idempotency-key"]

    def test_what_cannot_be_sent_leaves_the_connection_as_it_was(self) -> None:
        connection = ClientConnection()
        with pytest.raises(ValueError, match="surrogate"):
            connection.send(operations.run("\ud800"))
        assert connection.reusable


def test_the_bytes_of_a_request() -> None:
    connection = ClientConnection("http://h.example:1/root", "sk-1")
    head, _, body = connection.send(operations.chat("x")).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[:2] == [b"POST /root/api/chat HTTP/1.1", b"Host: h.example:1"]
    assert b"Authorization: Bearer sk-1" in lines
    assert lines[-1] == b"Content-Length: %d" % len(body)


@pytest.mark.parametrize("key", ["", " x", "a\nb", "\0", "é"], ids=ascii)
def test_an_idempotency_key_that_no_header_can_carry_is_refused_and_nothing_is_sent(key: str) -> None:
    connection = ClientConnection()
    with pytest.raises(ValueError, match="the idempotency key is empty, or has a character"):
        connection.send(operations.run("x"), idempotency_key=key)
    assert connection.reusable
    assert b"Idempotency-Key: k 1" in connection.send(operations.run("x"), idempotency_key="k 1")
