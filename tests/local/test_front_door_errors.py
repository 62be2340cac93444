"""What the front door refuses has the form of OpenAI's API, wherever the fault is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.raw_client import RawClient

COMPLETIONS = "/v1/chat/completions"
MESSAGE = '{"role":"user","content":"x"}'
KEY = "Authorization: Bearer key"
CHUNKED = "Transfer-Encoding: chunked"
OWN_CHUNKS = pytest.mark.own_server("an ASGI server does not tell the size of a chunk before it is there")


def request(method: str, path: str, *lines: str, body: str = "", host: str = "Host: localhost") -> bytes:
    """A request with the key; with `lines` that say nothing of it, of the length of its body."""
    has_length = any(line.startswith(("Content-Length", CHUNKED[:8])) for line in lines)
    has_key = any(line.startswith("Authorization") for line in lines)
    length = () if has_length else (f"Content-Length: {len(body)}",)
    head = [f"{method} {path} HTTP/1.1", host, *(() if has_key else (KEY,)), *lines, *length, "", ""]
    return ("\r\n".join(filter(None, head[:-2])) + "\r\n\r\n" + body).encode()


@pytest.mark.parametrize(
    ("data", "status", "param"),
    [
        (request("POST", "/v1/models"), 405, None),
        (request("GET", f"{COMPLETIONS}?a=b"), 405, None),
        (request("GET", "/v1/embeddings"), 404, None),
        (request("POST", "/v1/responses", body="{}"), 404, None),
        (request("POST", f"{COMPLETIONS}/", body="{}"), 404, None),
        (request("GET", "/v1"), 404, None),
        (request("GET", f"http://localhost/v1/{'x' * 100}"), 404, None),
        (request("POST", COMPLETIONS, "Content-Encoding: gzip", body="{}"), 415, None),
        (request("POST", COMPLETIONS, "Content-Length: 99999999"), 413, None),
        (request("POST", "/v1/nowhere", "Content-Length: 99999999"), 404, None),
        pytest.param(request("POST", COMPLETIONS, CHUNKED, body="2000000\r\n"), 413, None, marks=OWN_CHUNKS),
        pytest.param(
            request("POST", COMPLETIONS, CHUNKED, body="4\r\n{   \r\nfffffff\r\n"), 413, None, marks=OWN_CHUNKS
        ),
        (request("POST", COMPLETIONS, body="{"), 400, None),
        (request("POST", COMPLETIONS, body="[]"), 400, None),
        (request("POST", COMPLETIONS, body=f'{{"messages":[{MESSAGE}]}}'), 400, "model"),
        (request("POST", COMPLETIONS, body='{"model":"m","messages":[{"role":"user"}]}'), 400, "messages[0].content"),
        (request("POST", COMPLETIONS, "Authorization: Bearer wrong", body="{}"), 401, None),
        (request("POST", COMPLETIONS, "Authorization: Basic a2V5", CHUNKED), 401, None),
        (request("GET", "/v1/nowhere", "Authorization: Bearer wrong"), 401, None),
        (request("POST", COMPLETIONS, "Origin: http://other.example", body="{}"), 403, None),
    ],
)
def test_a_refusal(start: Callable[..., str], data: bytes, status: int, param: str | None) -> None:
    with RawClient(start(api_key="key")) as client:
        client.send(data)
        answered, body = client.response()
    assert (answered, body["error"].get("param")) == (status, param)
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}


@pytest.mark.parametrize(("method", "path"), [("POST", "/chat/completions"), ("GET", "/models?limit=2")])
def test_a_base_url_without_v1(start: Callable[..., str], method: str, path: str) -> None:
    with RawClient(start(api_key="key")) as client:
        client.send(request(method, path, body="{}" if method == "POST" else ""))
        answered, body = client.response()
    assert (answered, body["error"]["type"]) == (404, "invalid_request_error")
    bare = path.partition("?")[0]
    assert body["error"]["message"] == f"there is no {bare}: the client's base URL must end with /v1"


@pytest.mark.own_server("other servers refuse it themselves, in their own form")
@pytest.mark.parametrize(
    "data",
    [
        request("POST", COMPLETIONS, CHUNKED, body="xyz\r\n"),
        request("POST", COMPLETIONS, CHUNKED, body="2\r\n{}}}"),
        request("POST", COMPLETIONS, "Content-Length: 2", CHUNKED),
        request("POST", COMPLETIONS, "Content-Length: -2"),
        request("POST", COMPLETIONS, "no colon", body="{}"),
        request("POST", COMPLETIONS, host="", body="{}"),
        request("POST", COMPLETIONS, "Transfer-Encoding: gzip", "Content-Length: 2"),
    ],
)
def test_what_is_not_a_request(start: Callable[..., str], data: bytes) -> None:
    with RawClient(start(api_key="key")) as client:
        client.send(data)
        answered, body = client.response()
    assert (answered, body["error"]["type"], body["error"]["code"]) == (400, "invalid_request_error", "bad_request")


def test_without_a_key_other_hosts_are_refused(start: Callable[..., str]) -> None:
    with RawClient(start()) as client:
        client.send(request("GET", "/v1/models", host="Host: evil.example"))
        answered, body = client.response()
    assert (answered, body["error"]["type"]) == (421, "invalid_request_error")


def test_beside_it_a_refusal_has_our_own_form(start: Callable[..., str]) -> None:
    for path in ("/v10", "/api/v1/nowhere", "/nowhere?/v1/models"):
        with RawClient(start(api_key="key")) as client:
            client.send(request("GET", path))
            answered, body = client.response()
        assert (answered, body["code"]) == (404, "UNKNOWN_OPERATION")
