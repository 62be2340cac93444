"""What clients of a served platform are told of a model server's faults, on our own wire and at the front door."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from attrs import frozen

from hestiaos_local import Platform, Store
from hestiaos_local.execution import RelayExecutor
from tests.local.test_server_models import (
    COMPLETIONS,
    HELLO,
    ROLE,
    completion,
    payload,
    piece,
    run,
    text,
    wait_for_outcome,
)
from tests.support import wire
from tests.support.peer import Peer
from tests.support.ports import refusing_url
from tests.support.raw_client import HEALTH, RawClient, post
from tests.support.steps import Script, close, send

KEY = "sk-4711"
STATUS = b"GET /api/system/status HTTP/1.1\r\nHost: localhost\r\n\r\n"
CONFIG = b"GET /api/system/config HTTP/1.1\r\nHost: localhost\r\n\r\n"


@frozen
class Fault:
    """What a model server does, and what a client is told: on our wire, and, where it differs, at the front door."""

    script: Script | None  # None where there is no server
    status: int
    code: str
    kind: str = "server_error"
    door: int | None = None
    wait: str | None = None


def failing(status: int, *headers: str) -> Script:
    return [send(wire.response(status, json.dumps({"error": {"message": f"no, {KEY}"}}).encode(), *headers))]


FAULTS = {
    "refused": Fault(None, 503, "MODEL_UNREACHABLE"),
    "401": Fault(failing(401), 502, "MODEL_AUTHENTICATION_FAILED"),
    "404": Fault(failing(404), 404, "MODEL_NOT_FOUND", "invalid_request_error"),
    "400": Fault(failing(400), 422, "INVALID_INPUT", "invalid_request_error", door=400),
    "429": Fault(failing(429, "Retry-After: 7"), 429, "MODEL_RATE_LIMITED", "rate_limit_error", wait="7"),
    "503": Fault(failing(503, "Retry-After: 9"), 503, "MODEL_UNAVAILABLE", wait="9"),
    "500": Fault(failing(500), 502, "MODEL_FAILED"),
    "cut": Fault([close], 502, "MODEL_STREAM_CUT"),
    "garbage": Fault([send(wire.response(200, b"hello"))], 502, "MODEL_PROTOCOL_ERROR"),
    "garbage in a stream": Fault(
        [send(wire.STREAM_HEAD + wire.chunk(b"data: {\n\n") + wire.LAST_CHUNK)], 502, "MODEL_PROTOCOL_ERROR"
    ),
}


@pytest.fixture(params=[*FAULTS.values()], ids=[*FAULTS])
def fault(request: pytest.FixtureRequest) -> Fault:
    assert isinstance(request.param, Fault)
    return request.param


@pytest.fixture
def client(serve_platform: Callable[..., str], fault: Fault) -> Iterator[RawClient]:
    """A client of a platform before a server that has this fault."""
    with Peer(answer=lambda request: fault.script or []) as peer:
        url = refusing_url() if fault.script is None else peer.url
        ids = iter(range(1, 100))
        executor = RelayExecutor(f"{url}/v1", model="tiny", key=KEY)
        with (
            Platform(executor=executor, new_id=lambda: f"id-{next(ids)}") as platform,
            RawClient(serve_platform(platform=platform)) as client,
        ):
            yield client


def answer(client: RawClient) -> tuple[int, dict[str, str], Any]:
    status, headers = client.head()
    body = client.file.read(int(headers["content-length"]))
    assert KEY.encode() not in body
    return status, headers, json.loads(body)


def test_results(client: RawClient, fault: Fault) -> None:
    for number, (path, body) in enumerate(
        [
            ("/api/v1/run", run()),
            ("/api/chat", b'{"message": "hi", "session_id": "s"}'),
            ("/api/agents/run", b'{"agent_id": "a", "task": "t", "config": {}}'),
        ],
        1,
    ):
        client.send(post(path, body))
        status, headers, told = answer(client)
        assert (status, told["code"], told["trace_id"]) == (fault.status, fault.code, f"id-{number}")
        assert headers.get("retry-after") == fault.wait


def test_the_stream_of_a_run(client: RawClient, fault: Fault) -> None:
    client.send(post("/api/v1/run/stream", run()))
    start, error, done = [payload(each) for data in client.stream() for each in data.split(b"\n\n")[:-1]]
    assert (start["type"], error["type"], done["type"]) == ("start", "error", "done")
    assert (error["data"]["code"], error["data"]["trace_id"]) == (fault.code, "id-1")
    assert KEY not in error["data"]["message"]


@pytest.mark.parametrize("stream", [False, True])
def test_completions(client: RawClient, fault: Fault, stream: bool) -> None:
    client.send(post(COMPLETIONS, completion(stream=stream)))
    status, headers, told = answer(client)
    error = told["error"]
    assert (status, error["code"], error["type"]) == (fault.door or fault.status, fault.code.lower(), fault.kind)
    assert (headers["x-hestia-trace-id"], error["trace_id"]) == ("id-1", "id-1")
    assert headers.get("retry-after") == fault.wait
    assert error["param"] == ("model" if fault.status == 404 else None)


def test_the_system(client: RawClient, fault: Fault) -> None:
    """The status has no field that the published client does not know; why it is degraded stands in the configuration.

    A server without a list of its models works nevertheless.
    """
    client.send(STATUS)
    status, _, told = answer(client)
    works = fault.status == 404
    assert (status, told["status"], told["ollama"], told["vllm"]) == (200, "OK" if works else "DEGRADED", works, works)
    assert told["storage"] is True
    assert set(told) == {"status", "ollama", "vllm", "dsgk", "storage", "version", "uptime_seconds"}
    client.send(CONFIG)
    status, _, told = answer(client)
    assert (status, told["model"]) == (200, "tiny")
    assert (told["model_error"] is None) == works


@pytest.mark.parametrize("path", ["/api/v1/run/stream", COMPLETIONS])
@pytest.mark.parametrize("last", [b"", wire.chunk(b"data: {\n\n")], ids=["cut", "garbage"])
def test_a_stream_that_breaks_off(serve_platform: Callable[..., str], path: str, last: bytes) -> None:
    """What came before is delivered, then the error, then the end; the trace says that it failed."""
    code = "MODEL_PROTOCOL_ERROR" if last else "MODEL_STREAM_CUT"
    with closing(Store()) as store, Peer([send(wire.STREAM_HEAD + piece(ROLE) + text("a") + last), close]) as peer:
        executor = RelayExecutor(f"{peer.url}/v1", model="tiny")
        with Platform(executor=executor, store=store, new_id=lambda: "id-1") as platform:
            with RawClient(serve_platform(platform=platform)) as client:
                client.send(post(path, completion(stream=True) if path == COMPLETIONS else run()))
                events = [each for data in client.stream() for each in data.split(b"\n\n")[:-1]]
            assert wait_for_outcome(store, "id-1") == "failed"
    if path == COMPLETIONS:
        _, token, error, done = events
        assert payload(token)["choices"][0]["delta"] == {"content": "a"}
        assert payload(error)["error"]["code"] == code.lower()
        assert done == b"data: [DONE]"
    else:
        start, token, error, done = map(payload, events)
        assert [start["type"], token["data"]["text"], done["type"]] == ["start", "a", "done"]
        assert (error["type"], error["data"]["code"]) == ("error", code)


def test_a_server_that_works_again_is_used_at_once(serve_platform: Callable[..., str]) -> None:
    with (
        Peer(failing(503), answer=lambda request: HELLO) as peer,
        Platform(executor=RelayExecutor(f"{peer.url}/v1", model="tiny")) as platform,
        RawClient(serve_platform(platform=platform)) as client,
    ):
        for expected in (503, 200):
            client.send(post("/api/v1/run", run()))
            assert client.response()[0] == expected


@pytest.mark.parametrize("question", [STATUS, CONFIG], ids=["status", "configuration"])
def test_a_model_server_that_thinks_holds_up_nobody(start: Callable[..., str], question: bytes) -> None:
    go_on = threading.Event()
    models: Script = [lambda connection: connection.wait_for(go_on), send(wire.ok({"data": []}))]
    with (
        Peer(models) as peer,
        Platform(executor=RelayExecutor(f"{peer.url}/v1", model="tiny")) as platform,
        ExitStack() as opened,
    ):
        url = start(platform=platform)
        asking, other = (opened.enter_context(RawClient(url)) for _ in range(2))
        asking.send(question)
        peer.wait_for_requests(1)
        other.send(HEALTH)
        assert other.response()[0] == 200
        go_on.set()
        _, told = asking.response()
    assert told.get("ollama", True)
    assert told.get("model_error") is None
