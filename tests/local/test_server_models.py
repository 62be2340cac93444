"""A served platform before a model server, both over real sockets: our own wire and the front door."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from hestiaos_local import Platform, Store
from hestiaos_local.execution import ModelRouter, RelayExecutor
from tests.support import wire
from tests.support.completions import DONE, call, chunk, event
from tests.support.expecting import within
from tests.support.peer import Peer
from tests.support.ports import free_port, refusing_url
from tests.support.raw_client import RawClient, post
from tests.support.steps import Connection, Request, Script, send, silence

ROLE = chunk({"role": "assistant", "content": ""})
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
COMPLETIONS = "/v1/chat/completions"


def piece(*values: Any) -> bytes:
    return b"".join(wire.chunk(event(value)) for value in values)


def text(content: str) -> bytes:
    return piece(chunk({"content": content}))


END = piece(chunk({}, "stop"), USAGE) + wire.chunk(DONE) + wire.LAST_CHUNK
HELLO = [send(wire.STREAM_HEAD + piece(ROLE) + text("Hel") + text("lo") + END)]


def answer(request: Request) -> Script:
    if request.target == "/v1/models":
        return [send(wire.ok({"data": [{"id": "tiny"}]}))]
    return HELLO


class Steps:
    """Sends one token at a time: the next one when it is asked for."""

    def __init__(self) -> None:
        self.events = [threading.Event() for _ in range(3)]

    def script(self) -> Script:
        steps = [send(wire.STREAM_HEAD + piece(ROLE))]
        for number, go_on in enumerate(self.events):
            steps += [_wait_for(go_on), send(text(f"t{number} "))]
        return [*steps, send(END)]


def _wait_for(go_on: threading.Event) -> Callable[[Connection], None]:
    return lambda connection: connection.wait_for(go_on)


@pytest.fixture
def model() -> Iterator[Peer]:
    with Peer(answer=answer) as peer:
        yield peer


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store.db" if request.param == "sqlite" else None)) as store:
        yield store


@pytest.fixture
def url(start: Callable[..., str], model: Peer, store: Store) -> Iterator[str]:
    ids = iter(range(1, 100))
    relay = RelayExecutor(f"{model.url}/v1", model="tiny")
    with Platform(executor=relay, store=store, new_id=lambda: f"id-{next(ids)}") as platform:
        yield start(platform=platform)


def run(text: str = "hi", **options: Any) -> bytes:
    return json.dumps({"input": text, "options": options}).encode()


def completion(text: str = "hi", **fields: Any) -> bytes:
    return json.dumps({"model": "tiny", "messages": [{"role": "user", "content": text}], **fields}).encode()


def payload(data: bytes) -> Any:
    return json.loads(data.removeprefix(b"data: "))


def wait_for_outcome(store: Store, trace_id: str) -> str:
    end = time.monotonic() + 30
    while True:
        trace = store.trace(trace_id)
        if trace is not None and trace.outcome is not None:
            return trace.outcome.status
        assert time.monotonic() < end, "the execution does not end"
        time.sleep(0.005)


def test_runs_chats_and_agents(url: str, model: Peer, store: Store) -> None:
    with RawClient(url) as client:
        client.send(post("/api/v1/run", run()))
        status, body = client.response()
        assert (status, body["result"], body["output"]) == (200, "Hello", "Hello")
        client.send(post("/api/chat", b'{"message": "hi", "session_id": "s"}'))
        assert client.response()[1] | {"processing_time": 0} == {
            "response": "Hello",
            "session_id": "s",
            "processing_time": 0,
            "model": "tiny",
            "trace_id": "id-2",
        }
        client.send(post("/api/agents/run", b'{"agent_id": "a", "task": "t", "config": {}}'))
        assert client.response()[1]["output"] == "Hello"
    trace = store.trace("id-1")
    assert trace is not None
    assert trace.outcome is not None
    assert (trace.outcome.status, trace.outcome.input_tokens, trace.outcome.output_tokens) == ("completed", 3, 2)


def test_the_tokens_of_a_run_come_one_by_one(url: str, model: Peer) -> None:
    steps = Steps()
    model.add(steps.script())
    with RawClient(url) as client:
        client.send(post("/api/v1/run/stream", run()))
        assert client.head()[0] == 200
        assert payload(client.event())["type"] == "start"
        for number, go_on in enumerate(steps.events):
            go_on.set()
            assert payload(client.event())["data"] == {"text": f"t{number} ", "index": number}
        assert payload(client.event())["data"]["result"] == "t0 t1 t2 "
        assert payload(client.event())["type"] == "done"


def test_the_tokens_of_a_completion_come_one_by_one(url: str, model: Peer) -> None:
    steps = Steps()
    model.add(steps.script())
    with RawClient(url) as client:
        client.send(post(COMPLETIONS, completion(stream=True, stream_options={"include_usage": True})))
        steps.events[0].set()
        status, headers = client.head()
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert headers["x-hestia-trace-id"] == "id-1"
        role, first = payload(client.event()), payload(client.event())
        assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert (first["choices"][0]["delta"], first["id"]) == ({"content": "t0 "}, "chatcmpl-id-1")
        for number, go_on in enumerate(steps.events[1:], 1):
            go_on.set()
            assert payload(client.event())["choices"][0]["delta"] == {"content": f"t{number} "}
        finish, usage, done = client.events()
        assert payload(finish)["choices"][0]["finish_reason"] == "stop"
        assert payload(usage)["usage"]["total_tokens"] == 5
        assert done == b"data: [DONE]\n\n"


def test_a_completion(url: str, model: Peer) -> None:
    tools = [{"type": "function", "function": {"name": "look"}}]
    model.add(
        [
            send(
                wire.STREAM_HEAD
                + piece(chunk({"tool_calls": [call(0, "c", "look", "{}")]}), chunk({}, "tool_calls"))
                + END
            )
        ]
    )
    with RawClient(url) as client:
        client.send(post(COMPLETIONS, completion(tools=tools, seed=7)))
        status, headers = client.head()
        body = json.loads(client.file.read(int(headers["content-length"])))
    assert (status, headers["x-hestia-trace-id"], body["id"]) == (200, "id-1", "chatcmpl-id-1")
    [choice] = body["choices"]
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": "{}"}
    assert body["usage"]["total_tokens"] == 5
    asked = json.loads(model.requests[0].body)
    assert (asked["model"], asked["tools"], asked["seed"]) == ("tiny", tools, 7)


@pytest.mark.parametrize("stream", [False, True])
def test_a_completion_that_is_blocked(url: str, model: Peer, store: Store, stream: bool) -> None:
    with RawClient(url) as client:
        client.send(post(COMPLETIONS, completion("rm -rf /", stream=stream)))
        status, headers = client.head()
        error = json.loads(client.file.read(int(headers["content-length"])))["error"]
    assert (status, headers["x-hestia-trace-id"]) == (403, "id-1")
    assert (error["code"], error["type"], error["trace_id"]) == ("governance_block", "permission_error", "id-1")
    assert model.requests == []
    assert wait_for_outcome(store, "id-1") == "blocked"


def test_models(url: str) -> None:
    with RawClient(url) as client:
        client.send(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, body = client.response()
    assert (status, [model["id"] for model in body["data"]]) == (200, ["tiny"])


def test_the_front_door_before_the_echo(start: Callable[..., str]) -> None:
    with RawClient(start()) as client:
        client.send(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert [model["id"] for model in client.response()[1]["data"]] == ["hestia-local"]
        client.send(post(COMPLETIONS, completion("create a report")))
        assert client.response()[1]["choices"][0]["message"]["content"] == "processed: create a report"
        client.send(post(COMPLETIONS, b"{}"))
        status, body = client.response()
        assert (status, body["error"]["type"], body["error"]["param"]) == (400, "invalid_request_error", "model")


def test_the_front_door_asks_for_the_key(start: Callable[..., str]) -> None:
    with RawClient(start(api_key="key")) as client:
        client.send(post(COMPLETIONS, completion()))
        status, body = client.response()
        assert (status, body["error"]["type"]) == (401, "authentication_error")
    with RawClient(start(api_key="key")) as client:
        client.send(post(COMPLETIONS, completion(), "Authorization: Bearer key"))
        assert client.response()[0] == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/v1/run", run()), (COMPLETIONS, completion()), (COMPLETIONS, completion(stream=True))],
    ids=["run", "completion", "streamed completion"],
)
def test_a_client_that_goes_before_the_answer_cancels_the_work(
    url: str, model: Peer, store: Store, path: str, body: bytes
) -> None:
    model.add([silence])
    with RawClient(url) as client:
        client.send(post(path, body))
        model.wait_for_requests(1)
    model.wait_until_left(1)
    assert wait_for_outcome(store, "id-1") == "cancelled"


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/v1/run/stream", run()), (COMPLETIONS, completion(stream=True))],
    ids=["run", "completion"],
)
def test_a_client_that_goes_in_a_stream_cancels_the_work(
    start: Callable[..., str], model: Peer, store: Store, path: str, body: bytes
) -> None:
    model.add([send(wire.STREAM_HEAD + piece(ROLE) + text("a")), silence])
    relay = RelayExecutor(f"{model.url}/v1", model="tiny")
    with Platform(executor=relay, store=store, new_id=lambda: "id-1") as platform:
        with RawClient(start(platform=platform, heartbeat=0.05)) as client:
            client.send(post(path, body))
            assert client.head()[0] == 200
            client.event()
            model.wait_for_requests(1)  # a run has begun before it asks the model
        model.wait_until_left(1)
        assert wait_for_outcome(store, "id-1") == "cancelled"


def test_a_timeout(url: str, model: Peer, store: Store) -> None:
    def bounded(seconds: float) -> None:
        model.add([silence])
        asked = len(model.requests)
        with RawClient(url) as client:
            client.send(post("/api/v1/run", run(timeout_ms=int(1000 * seconds))))
            status, body = client.response()
        assert (status, body["code"]) == (504, "TIMED_OUT")
        assert len(model.requests) == asked + 1  # else it was late
        model.wait_until_left(1)
        assert wait_for_outcome(store, body["trace_id"]) == "failed"

    within(0.05, bounded)


def test_a_model_server_that_cannot_be_reached(start: Callable[..., str]) -> None:
    with ExitStack() as opened:
        relay = RelayExecutor(f"{refusing_url()}/v1", model="tiny")
        platform = opened.enter_context(Platform(executor=relay))
        client = opened.enter_context(RawClient(start(platform=platform)))
        for path, body in (("/api/v1/run", run()), (COMPLETIONS, completion(stream=True))):
            client.send(post(path, body))
            status, headers = client.head()
            told = json.loads(client.file.read(int(headers["content-length"])))
            assert status == 503
            code = told["code"] if path != COMPLETIONS else told["error"]["code"].upper()
            assert code == "MODEL_UNREACHABLE"
        client.send(post("/api/v1/run/stream", run()))
        kinds = [payload(each)["type"] for data in client.stream() for each in data.split(b"\n\n")[:-1]]
        assert kinds == ["start", "error", "done"]
        client.send(b"GET /api/system/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, told = client.response()
        assert (status, told["status"], told["ollama"], told["storage"]) == (200, "DEGRADED", False, True)
        client.send(b"GET /api/system/config HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert "cannot be reached" in client.response()[1]["model_error"]


def test_a_model_server_that_is_the_platform_itself(start: Callable[..., str]) -> None:
    """Nothing goes round in a circle: the first request that comes back is refused."""
    port = free_port()
    own = RelayExecutor(f"http://127.0.0.1:{port}/v1", model="tiny")
    with closing(Store()) as store, Platform(executor=ModelRouter({"tiny": own}), store=store) as platform:
        with RawClient(start(platform=platform, port=port)) as client:
            client.send(post("/api/v1/run", run()))
            status, told = client.response()
            assert (status, told["code"]) == (502, "MODEL_FAILED")
            assert "is this platform's own" in told["message"]
            client.send(b"GET /api/system/config HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert "is this platform's own" in client.response()[1]["model_error"]
        assert len(store.traces(limit=10)) == 1


def test_a_model_server_that_can_be_reached(url: str) -> None:
    with RawClient(url) as client:
        client.send(b"GET /api/system/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, told = client.response()
    assert (status, told["status"], told["ollama"], told["storage"]) == (200, "OK", True, True)
