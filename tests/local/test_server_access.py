"""Who may ask a served platform."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from hestiaos_local import Platform
from hestiaos_proto import ServerRequest
from tests.support.raw_client import RUN, RawClient, post


def test_the_key_is_asked_for(start: Callable[..., str]) -> None:
    with RawClient(start(api_key="right")) as peer:
        for header in [
            "X: y",
            "Authorization: Bearer wrong",
            "Authorization: Basic right",
            "Authorization: Bearer \xe9",
        ]:
            for request in (post("/api/v1/run", RUN, header), post("/nowhere", b"{", header)):
                peer.send(request)
                status, headers = peer.head()
                body = peer.file.read(int(headers["content-length"]))
                assert (status, headers["www-authenticate"]) == (401, "Bearer")
                assert b"right" not in body
        peer.send(post("/api/v1/run", RUN, "Authorization: bearer right"))
        assert peer.response()[0] == 200


OWN_HOSTS = pytest.mark.own_server("an ASGI server does not say that a Host is none")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("localhost.:8000", 200),
        ("127.0.0.1:8000", 200),
        ("127.0.0.1.", 200),
        ("[::1]:8000", 200),
        ("192.0.2.7:8000", 200),  # a port of another machine, forwarded to this one
        ("rebound.example", 421),
        ("localhost.example", 421),
        ("", 421),
        pytest.param("[broken", 400, marks=OWN_HOSTS),
        pytest.param("a b", 400, marks=OWN_HOSTS),
    ],
)
def test_without_a_key_a_name_must_be_this_machine(start: Callable[..., str], host: str, status: int) -> None:
    """A web page's own name can be made to resolve to loopback; an address cannot."""
    with RawClient(start()) as client:
        client.send(b"GET /health HTTP/1.1\r\nHost: %b\r\n\r\n" % host.encode())
        assert client.response()[0] == status


@pytest.mark.own_server("an ASGI server does not tell the host of a target; no browser sends one to a server")
def test_the_host_of_the_target_counts(start: Callable[..., str]) -> None:
    """RFC 9112, section 3.2.2."""
    with RawClient(start()) as client:
        client.send(b"GET http://rebound.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.response()[0] == 421
        client.send(b"GET http://localhost/health HTTP/1.1\r\nHost: rebound.example\r\n\r\n")
        assert client.response()[0] == 200


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("http://localhost:8000", "localhost:8000", 200),
        ("https://LOCALHOST.", "localhost:443", 200),  # a proxy in front undoes the TLS
        ("http://127.0.0.1", "127.0.0.1:80", 200),
        ("http://[::1]:3000", "[::1]:3000", 200),
        ("http://localhost:3000", "localhost:8000", 403),
        ("http://127.0.0.1:8000", "localhost:8000", 403),
        ("https://evil.example", "localhost:8000", 403),
        ("null", "localhost", 403),
        ("", "localhost", 403),
        ("http://[::1", "localhost", 403),
        ("http://a:b:c", "localhost", 403),
        ("http://app.example", "localhost", 200),
        ("HTTP://App.Example", "localhost", 200),
        ("https://app.example", "localhost", 403),
    ],
)
@pytest.mark.parametrize("key", [None, "key"])
def test_a_page_of_another_origin_is_refused_before_it_does_anything(
    start: Callable[..., str], platform: Platform, origin: str, host: str, status: int, key: str | None
) -> None:
    url = start(api_key=key, allow_origins=["http://app.example:80/"])
    headers = {"Host": host, "Origin": origin, "Authorization": f"Bearer {key}"}
    response = httpx.post(f"{url}/api/v1/run", headers=headers, content=RUN)
    assert response.status_code == status
    decisions = platform.answer(ServerRequest("governance_status", {}, {}))["decisions"]
    assert decisions["ALLOW"] == (status == 200)
    assert response.headers["vary"] == "Origin"
    allowed = status == 200 and "pp" in origin
    assert response.headers.get("access-control-allow-origin") == (origin if allowed else None)


@pytest.mark.parametrize("path", ["/api/v1/run", "/api/secrets/k", "/nowhere"])
def test_a_preflight_needs_no_key(start: Callable[..., str], path: str) -> None:
    """The Fetch standard: a browser asks without credentials."""
    url = start(api_key="key", allow_origins=["http://app.example"])
    headers = {
        "Origin": "http://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
        "Access-Control-Request-Private-Network": "true",
    }
    response = httpx.options(f"{url}{path}", headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == "http://app.example"
    assert "DELETE" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-os"
    assert response.headers["access-control-allow-private-network"] == "true"
    refused = httpx.options(f"{url}{path}", headers=headers | {"Origin": "http://evil.example"})
    assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (403, None)
    assert httpx.options(f"{url}{path}", headers={"Origin": "http://app.example"}).status_code == 401


def test_a_page_of_an_allowed_origin_reads_its_stream_and_its_refusals(start: Callable[..., str]) -> None:
    url = start(api_key="key", allow_origins=["http://app.example"])
    headers = {"Origin": "http://app.example"}
    assert httpx.get(f"{url}/api/system/status", headers=headers).headers["access-control-allow-origin"]
    headers["Authorization"] = "Bearer key"
    response = httpx.post(f"{url}/api/v1/run/stream", headers=headers, content=RUN)
    assert response.text.count("data: ") == 7
    assert response.headers["access-control-allow-origin"] == "http://app.example"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/health", "/api/v1/health"])
def test_health_needs_no_key_and_says_no_more_than_it_must(start: Callable[..., str], path: str, method: str) -> None:
    url = start(api_key="key")
    told = httpx.request(method, f"{url}{path}")
    assert told.status_code == 200
    with_key = httpx.request(method, f"{url}{path}", headers={"Authorization": "Bearer key"})
    if method == "GET":
        assert set(told.json()) == {"status", "version"}
        assert set(with_key.json()) >= {"status", "version", "uptime_seconds"}
    else:
        assert told.content == with_key.content == b""
        assert 0 < int(told.headers["content-length"]) < int(with_key.headers["content-length"])


@pytest.mark.parametrize(
    "path", ["/api/system/status", "/api/system/config", "/api/system/metrics", "/api/governance/stability"]
)
def test_head_is_answered_on_what_can_be_read(start: Callable[..., str], path: str) -> None:
    response = httpx.head(f"{start()}{path}")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "application/json"


def head_of(request: bytes) -> bytes:
    return request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


OWN_CONTINUE = pytest.mark.own_server("hypercorn asks for a body before its application does")


@pytest.mark.parametrize("line", [pytest.param("Expect: 100-continue", marks=OWN_CONTINUE), "X: y"])
def test_without_the_key_no_body_is_waited_for(start: Callable[..., str], line: str) -> None:
    with RawClient(start(api_key="key")) as client:
        client.send(head_of(post("/api/v1/run", b"x" * 10_000_000, line)))
        assert client.response()[0] == 401
        assert client.at_end()


def test_an_origin_that_is_not_valid(start: Callable[..., str]) -> None:
    for wrong in ("app.example", "http://", "http://a/b", "*", "null", "ftp://a"):
        with pytest.raises(ValueError, match="an origin must have the form"):
            start(allow_origins=[wrong])
    with pytest.raises(TypeError, match="a collection of origins"):
        start(allow_origins="http://app.example")


def test_with_a_key_any_name_is_answered(start: Callable[..., str]) -> None:
    headers = {"Host": "hestia.example", "Authorization": "Bearer key"}
    assert httpx.get(f"{start(api_key='key')}/api/v1/health", headers=headers).status_code == 200
