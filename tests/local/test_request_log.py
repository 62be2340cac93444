"""What a log is told of each request, once it is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from hestiaos_local import Keys, Platform, Policy, ServedRequest
from hestiaos_local.execution import RelayExecutor
from tests.local.test_server_models import COMPLETIONS, Steps, completion
from tests.support.peer import Peer
from tests.support.policies import BLOCK, SECRET, policy
from tests.support.raw_client import RawClient, post
from tests.support.steps import silence

pytestmark = pytest.mark.own_server("other servers log their requests themselves")

RUN, CHAT, AGENT = "/api/v1/run", "/api/chat", "/api/agents/run"
LIMITED = Policy.parse(
    'version = 2\nname = "p"\n[[limits]]\nname = "l"\nper = "all"\nrequests = 1\nwindow = "1h"\n', "p.toml"
)


class Log:
    """What was told."""

    def __init__(self) -> None:
        self._requests: list[ServedRequest] = []
        self._told = threading.Condition()

    def __call__(self, request: ServedRequest) -> None:
        with self._told:
            self._requests.append(request)
            self._told.notify()

    def next(self) -> ServedRequest:
        """The next one; a client has its answer before the log is told of it."""
        with self._told:
            assert self._told.wait_for(lambda: self._requests, timeout=50)
            return self._requests.pop(0)


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def serve(start: Callable[..., str], log: Log) -> Callable[..., str]:
    return lambda **given: start(on_request=log, token_delay=0.0, **given)


@pytest.fixture
def url(serve: Callable[..., str]) -> Iterator[str]:
    with Platform(policy=policy(BLOCK)) as platform:
        yield serve(platform=platform)


def told(request: ServedRequest) -> tuple[Any, ...]:
    return request.status, request.decision, request.outcome


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/", "/openapi.json", "/api/system/status"])
def test_what_executes_nothing_has_no_decision(url: str, log: Log, path: str) -> None:
    httpx.get(f"{url}{path}?a=b")
    request = log.next()
    assert (request.method, request.path, *told(request)) == ("GET", path, 200, None, None)
    assert (request.trace_id, request.seconds >= 0) == (None, True)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (RUN, {"input": "x"}),
        (f"{RUN}/stream", {"input": "x"}),
        (CHAT, {"message": "x", "session_id": "s"}),
        ("/api/v1/chat/stream", {"message": "x"}),
        (AGENT, {"agent_id": "a", "task": "x", "config": {}}),
        (COMPLETIONS, {"model": "m", "messages": [{"role": "user", "content": "x"}]}),
        (COMPLETIONS, {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}),
    ],
)
def test_an_execution(url: str, log: Log, path: str, body: Any) -> None:
    httpx.post(url + path, json=body)
    request = log.next()
    assert (request.path, *told(request)) == (path, 200, "ALLOW", "completed")
    httpx.get(f"{url}/api/v1/trace/{request.trace_id}")
    looked_up = log.next()
    assert (looked_up.operation, *told(looked_up), looked_up.trace_id) == ("trace", 200, None, None, None)


@pytest.mark.parametrize(
    ("path", "body", "outcome"),
    [
        (RUN, {"input": "x"}, (200, "ALLOW", "completed")),
        (RUN, {"input": "rm -rf /"}, (403, "BLOCK", "blocked")),
        (f"{RUN}/stream", {"input": "x"}, (200, "ALLOW", "completed")),
        (CHAT, {"message": "x", "session_id": "s"}, (200, "ALLOW", "completed")),
        (AGENT, {"agent_id": "a", "task": "rm -rf /", "config": {}}, (200, "BLOCK", "blocked")),
    ],
)
def test_a_repeat(serve: Callable[..., str], log: Log, path: str, body: Any, outcome: tuple[Any, ...]) -> None:
    """It has the trace and the decision of what was executed, and says that it repeats it."""
    url = serve()
    lines = []
    for _ in range(2):
        httpx.post(url + path, json=body, headers={"Idempotency-Key": "k"})
        lines.append(log.next())
    first, again = lines
    assert [told(each) for each in lines] == [outcome, outcome]
    assert first.trace_id is not None
    assert again.trace_id == first.trace_id
    assert (first.repeated, again.repeated) == (False, True)


def test_a_result_that_is_not_kept(serve: Callable[..., str], log: Log) -> None:
    with Platform(keep="hash") as platform:
        url = serve(platform=platform)
        for status in (200, 409):
            httpx.post(url + RUN, json={"input": "x"}, headers={"Idempotency-Key": "k"})
            request = log.next()
            assert told(request) == (status, "ALLOW", "completed")


def test_a_stream_that_goes_on(url: str, log: Log) -> None:
    headers = {"Idempotency-Key": "k"}
    httpx.post(f"{url}{RUN}/stream", json={"input": "x"}, headers=headers)
    first = log.next()
    headers["Last-Event-ID"] = f"{first.trace_id}/0"
    httpx.post(f"{url}{RUN}/stream", json={"input": "x"}, headers=headers)
    again = log.next()
    assert (*told(again), again.trace_id, again.repeated) == (200, "ALLOW", "completed", first.trace_id, True)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [(RUN, {"input": "rm -rf /"}, 403), (AGENT, {"agent_id": "a", "task": "rm -rf /", "config": {}}, 200)],
)
def test_a_block(serve: Callable[..., str], log: Log, path: str, body: Any, status: int) -> None:
    httpx.post(serve() + path, json=body)
    assert told(log.next()) == (status, "BLOCK", "blocked")


@pytest.mark.parametrize(("path", "status"), [(RUN, 403), (f"{RUN}/stream", 200)])
def test_an_output_that_is_blocked(url: str, log: Log, path: str, status: int) -> None:
    httpx.post(url + path, json={"input": f"a {SECRET}"})
    assert told(log.next()) == (status, "ALLOW", "blocked")


@pytest.mark.parametrize("path", [RUN, f"{RUN}/stream", COMPLETIONS])
def test_a_limit_without_room(serve: Callable[..., str], log: Log, path: str) -> None:
    with Platform(policy=LIMITED) as platform:
        url = serve(platform=platform)
        body = {"input": "x", "model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}
        for expected in ((200, "ALLOW", "completed"), (429, "THROTTLE", "blocked")):
            httpx.post(url + path, json=body if path == COMPLETIONS else {"input": "x"})
            assert told(log.next()) == expected


@pytest.mark.parametrize(
    ("data", "line", "status"),
    [
        (b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n", ("GET", "/nowhere"), 404),
        (post(COMPLETIONS, b"{"), ("POST", COMPLETIONS), 400),
        (post(RUN, b"", "Content-Encoding: gzip")[:-2] + b"Expect: 100-continue\r\n\r\n", ("POST", RUN), 422),
        (b"POST /api/v1/run?a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", ("POST", RUN), 400),
        (b"garbage\r\n\r\n", ("", ""), 400),
    ],
    ids=["path", "body", "nothing", "header", "no request"],
)
def test_a_refusal(serve: Callable[..., str], log: Log, data: bytes, line: tuple[str, str], status: int) -> None:
    with RawClient(serve()) as client:
        client.send(data)
        assert client.response()[0] == status
    request = log.next()
    assert (request.method, request.path, *told(request)) == (*line, status, None, None)


def test_the_name_of_the_key(serve: Callable[..., str], log: Log) -> None:
    url = serve(keys=Keys.of("key"))
    for key, name, status in (("key", "default", 200), ("wrong", None, 401)):
        httpx.post(url + RUN, json={"input": "x"}, headers={"Authorization": f"Bearer {key}"})
        request = log.next()
        assert (request.key, request.status) == (name, status)


@pytest.fixture
def model() -> Iterator[Peer]:
    with Peer() as peer:
        yield peer


@pytest.fixture
def relayed(serve: Callable[..., str], model: Peer) -> Iterator[str]:
    with Platform(executor=RelayExecutor(f"{model.url}/v1", model="tiny")) as platform:
        yield serve(platform=platform)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_before_its_response(relayed: str, model: Peer, log: Log, stream: bool) -> None:
    model.add([silence])
    with RawClient(relayed) as client:
        client.send(post(COMPLETIONS, completion(stream=stream)))
        model.wait_for_requests(1)
    assert told(log.next()) == (None, "ALLOW", "cancelled")


def test_requests_at_once_are_told_apart(relayed: str, model: Peer, log: Log) -> None:
    steps = Steps()
    model.add(steps.script())
    with httpx.stream("POST", f"{relayed}{RUN}/stream", json={"input": "a"}) as stream:
        model.wait_for_requests(1)
        httpx.post(relayed + RUN, json={"input": "rm -rf /"})
        blocked = log.next()
        for event in steps.events:
            event.set()
        stream.read()
    streamed = log.next()
    assert (blocked.path, *told(blocked)) == (RUN, 403, "BLOCK", "blocked")
    assert (streamed.path, *told(streamed)) == (f"{RUN}/stream", 200, "ALLOW", "completed")
    assert f'"trace_id":"{streamed.trace_id}"' in stream.text
    assert streamed.trace_id != blocked.trace_id
