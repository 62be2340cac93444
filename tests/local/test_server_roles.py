"""What a key may do at a served platform: what its roles say, and no more."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import anyio
import httpx
import pytest

from hestiaos import AuthenticationFailed, Client
from hestiaos_local import ConfigurationError, Key, Keys, Platform
from hestiaos_local.asgi import application
from hestiaos_local.keys import ROLES, Role, hash_key
from hestiaos_local.serving import service_from_environment
from hestiaos_local.serving._roles import roles_for
from hestiaos_proto import ROUTES, ServerRequest
from tests.support.raw_client import RUN, RawClient, post

COMPLETION = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()


def keys(*names: Role) -> Keys:
    """A key of each of these roles, called as it."""
    return Keys(Key(name, hash_key(f"key-{name}"), (name,)) for name in names)


def ask(url: str, method: str, path: str, key: str, content: bytes = b"") -> httpx.Response:
    return httpx.request(method, url + path, headers={"Authorization": f"Bearer {key}"}, content=content)


EXPLAIN = b'{"command_type": "RUN", "command_input": {}}'
SECRET = b'{"credential_ref": "a", "secret": "b", "provider": "c", "allowed_tools": ["*"]}'


@pytest.mark.parametrize(
    ("method", "path", "body", "role"),
    [
        ("POST", "/api/v1/run", RUN, "run"),
        ("POST", "/api/v1/run/stream", RUN, "run"),
        ("POST", "/api/chat", b'{"message": "hi", "session_id": null}', "run"),
        ("POST", "/v1/chat/completions", COMPLETION, "run"),
        ("GET", "/v1/models", b"", "read"),
        ("GET", "/api/system/status", b"", "read"),
        ("HEAD", "/api/system/status", b"", "read"),
        ("GET", "/api/governance/stability", b"", "read"),
        ("POST", "/api/governance/explain", EXPLAIN, "read"),
        ("GET", "/metrics", b"", "read"),
        ("POST", "/api/secrets", SECRET, "admin"),
    ],
)
def test_an_operation_needs_its_role(
    serve_platform: Callable[..., str], method: str, path: str, body: bytes, role: str
) -> None:
    url = serve_platform(keys=keys(*ROLES))
    for each in ROLES:
        response = ask(url, method, path, f"key-{each}", body)
        if each in (role, "admin"):
            assert response.status_code == 200
        else:
            assert response.status_code == (403 if path.startswith("/v1/") else 401)


def test_what_the_table_does_not_name_needs_admin() -> None:
    assert roles_for("an_operation_of_tomorrow") == roles_for("/tomorrow") == ("admin",)
    admin = {name for name in ROUTES if roles_for(name) == ("admin",)}
    assert {"get_secret", "set_secret", "delete_secret"} <= admin
    assert not admin & {"run", "trace", "system_status"}


def test_the_document_tells_the_roles(start: Callable[..., str]) -> None:
    paths = httpx.get(f"{start(keys=keys('run'))}/openapi.json").json()["paths"]
    assert paths["/api/v1/run"]["post"]["security"] == [{"key": ["run"]}]
    assert paths["/api/secrets/{key}"]["get"]["security"] == [{"key": ["admin"]}]
    assert paths["/api/v1/approvals"]["get"]["security"] == [{"key": ["read"]}, {"key": ["approve"]}]
    assert paths["/v1/models"]["get"]["security"] == [{"key": ["read"]}]
    assert paths["/health"]["get"]["security"] == paths["/openapi.json"]["get"]["security"] == [{}, {"key": []}]


def test_the_refusal_says_which_role_is_missing(start: Callable[..., str]) -> None:
    url = start(keys=keys("run"))
    response = ask(url, "GET", "/api/secrets/a", "key-run")
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json() == {
        "error": "Unauthorized",
        "code": "ROLE_MISSING",
        "message": "the API key 'run' does not have the role 'admin', which this request needs",
        "trace_id": None,
        "details": {"role": "admin"},
    }
    assert ask(url, "GET", "/v1/models", "key-run").json()["error"] == {
        "message": "the API key 'run' does not have the role 'read', which this request needs",
        "type": "permission_error",
        "param": None,
        "code": "role_missing",
    }
    assert ask(url, "GET", "/v1/models", "key-other").status_code == 401


def test_the_client_is_told_so(start: Callable[..., str]) -> None:
    """Not as a block of governance, which a 403 is on this wire."""
    with Client(start(keys=keys("run")), "key-run") as client:
        assert client.run("hi").mode == "ALLOW"
        with pytest.raises(AuthenticationFailed, match=r"\[ROLE_MISSING\] the API key 'run' does not have") as caught:
            client.secrets.get("a")
        assert (caught.value.code, caught.value.details) == ("ROLE_MISSING", {"role": "admin"})


def test_the_role_is_judged_before_the_body(start: Callable[..., str]) -> None:
    with RawClient(start(keys=keys("read"))) as client:
        client.send(post("/api/v1/run", b"", "Authorization: Bearer key-read").replace(b"Length: 0", b"Length: 99999"))
        status, body = client.response()
        assert (status, body["code"]) == (401, "ROLE_MISSING")
        assert client.at_end()


def test_any_key_is_told_what_is_not_there(start: Callable[..., str]) -> None:
    url = start(keys=keys("approve"))
    assert ask(url, "GET", "/nowhere", "key-approve").status_code == 404
    assert ask(url, "PUT", "/api/v1/run", "key-approve").status_code == 405
    assert ask(url, "GET", "/nowhere", "key-other").status_code == 401


def test_health_tells_more_to_any_key(start: Callable[..., str]) -> None:
    url = start(keys=keys("approve"))
    assert "uptime_seconds" in ask(url, "GET", "/health", "key-approve").json()
    assert set(ask(url, "GET", "/health", "key-other").json()) == {"status", "version"}


def test_a_key_that_is_revoked_between_head_and_body(start: Callable[..., str], platform: Platform) -> None:
    accepted = keys("run")
    with RawClient(start(keys=accepted)) as client:
        request = post("/api/v1/run", RUN, "Authorization: Bearer key-run", "Expect: 100-continue")
        client.send(request.removesuffix(RUN))
        assert client.head()[0] == 100
        accepted.replace([])
        client.send(RUN)
        assert client.response()[0] == 401
    assert platform.answer(ServerRequest("governance_status", {}, {}))["decisions"]["ALLOW"] == 0


def test_a_key_is_never_logged(start: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = start(keys=keys("run"))
    for key in ("key-run", "key-other"):
        response = ask(url, "POST", "/api/v1/run", key, RUN)
        assert key not in response.text
        ask(url, "GET", "/api/secrets/x", key)
    logged = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert "key-" not in "\n".join(logged)


def test_one_key_or_several(platform: Platform) -> None:
    with pytest.raises(ValueError, match="api_key and keys exclude each other"):
        application(platform, api_key="a", keys=Keys.of("b"))


async def _statuses(app: object, requests: list[tuple[str, str]]) -> list[int]:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://hestia.example") as client:
        return [
            (await client.get(path, headers={"Authorization": f"Bearer {key}"})).status_code for path, key in requests
        ]


def test_keys_of_an_asgi_application(platform: Platform, backend: str) -> None:
    app = application(platform, keys=keys("read", "run"))
    requests = [
        ("/api/system/status", "key-read"),
        ("/api/system/status", "key-run"),
        ("/api/system/status", ""),
        ("/v1/models", "key-run"),
        ("/v1/models", "key-read"),
    ]
    assert anyio.run(_statuses, app, requests, backend=backend) == [200, 401, 401, 403, 200]


def test_keys_of_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'version = 1\n[[keys]]\nname = "a"\nsha256 = "{hash_key("k")}"\nroles = ["read"]\n')
    service = service_from_environment({"HESTIAOS_KEYS": str(file)})
    with service.platform:
        assert service.access.keys is not None
        assert service.access.keys.find("k") == Key("a", hash_key("k"), ("read",))
    with pytest.raises(ValueError, match="HESTIAOS_KEYS and HESTIAOS_API_KEY exclude each other"):
        service_from_environment({"HESTIAOS_KEYS": str(file), "HESTIAOS_API_KEY": "k"})
    with pytest.raises(ConfigurationError, match="there is no such file"):
        service_from_environment({"HESTIAOS_KEYS": str(tmp_path / "none.toml")})


@pytest.mark.parametrize("request_of", [post("/api/v1/run", RUN), post("/v1/chat/completions", COMPLETION)])
def test_a_trace_has_the_name_of_the_key(start: Callable[..., str], platform: Platform, request_of: bytes) -> None:
    with RawClient(start(keys=keys("run"))) as client:
        client.send(request_of.replace(b"Host:", b"Authorization: Bearer key-run\r\nHost:"))
        status, headers = client.head()
        body = json.loads(client.file.read(int(headers["content-length"])))
    trace_id = headers.get("x-hestia-trace-id") or body["trace_id"]
    trace = platform.answer(ServerRequest("governance_trace", {"command_id": trace_id}, {}))
    assert isinstance(trace, dict)
    assert (status, trace["key"]) == (200, "run")
    assert "key-run" not in json.dumps(trace)
