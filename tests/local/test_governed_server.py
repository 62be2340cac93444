"""A served platform under a policy: what clients of either wire get of what a model says, in whatever pieces."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from hestiaos_local import Platform, Policy
from hestiaos_local.execution import RelayExecutor
from tests.local.test_metrics import metrics
from tests.local.test_server_models import COMPLETIONS, END, ROLE, piece, text
from tests.support import wire
from tests.support.broad import BROAD
from tests.support.completions import call, chunk
from tests.support.peer import Peer
from tests.support.policies import BLOCK, DETAILS, NO_DELETING, REDACT, SECRET, policy
from tests.support.served_process import ServedProcess
from tests.support.steps import Request, Script, send, silence


def saying(said: str, *, then: Any = None) -> Callable[[Request], Script]:
    """Says a text, a character in each chunk."""
    script = [send(wire.STREAM_HEAD + piece(ROLE)), *(send(text(each)) for each in said), then or send(END)]
    return lambda request: script


def calling(arguments: str) -> Callable[[Request], Script]:
    """Calls the tool `shell`, a character of its arguments in each chunk."""
    first = piece(chunk({"tool_calls": [call(0, "c1", "shell", "")]}))
    rest = [piece(chunk({"tool_calls": [call(0, arguments=each)]})) for each in arguments]
    end = piece(chunk({}, "tool_calls")) + wire.chunk(b"data: [DONE]\n\n") + wire.LAST_CHUNK
    return lambda request: [send(wire.STREAM_HEAD + first), *map(send, rest), send(end)]


Serve = Callable[[Policy, Callable[[Request], Script]], str]


@pytest.fixture
def serve(start: Callable[..., str]) -> Iterator[Serve]:
    """A served platform before a model server that does what the script says."""
    with ExitStack() as stack:

        def begin(policy: Policy, answer: Callable[[Request], Script]) -> str:
            model = stack.enter_context(Peer(answer=answer))
            relay = RelayExecutor(f"{model.url}/v1", model="tiny")
            return start(platform=stack.enter_context(Platform(policy=policy, executor=relay)))

        yield begin


def completion(stream: bool) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": "go on"}], "stream": stream}


def chunks(response: httpx.Response) -> list[Any]:
    """The data of a stream's events: JSON, but for `[DONE]`."""
    data = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line.startswith("data: ")]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


def content(chunks: list[Any]) -> str:
    deltas = [choice["delta"] for each in chunks if "choices" in each for choice in each["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_what_is_redacted(serve: Serve) -> None:
    url = serve(policy(REDACT), saying(f"it is {SECRET}, yes"))
    streamed = httpx.post(url + COMPLETIONS, json=completion(True))
    *pieces, done = chunks(streamed)
    assert content(pieces) == "it is [redacted], yes"
    assert (pieces[-1]["choices"][0]["finish_reason"], done) == ("stop", "[DONE]")
    plain = httpx.post(url + COMPLETIONS, json=completion(False))
    assert plain.json()["choices"][0]["message"]["content"] == "it is [redacted], yes"
    assert plain.json()["usage"]["completion_tokens"] == 2
    run = httpx.post(f"{url}/api/v1/run", json={"input": "go on"})
    assert run.json()["result"] == "it is [redacted], yes"
    events = chunks(httpx.post(f"{url}/api/v1/run/stream", json={"input": "go on"}))
    assert "".join(event["data"]["text"] for event in events if event["type"] == "token") == "it is [redacted], yes"
    assert [event["type"] for event in events[-2:]] == ["final", "done"]


class TestBlocked:
    """The model server goes on after the match: it is cancelled."""

    @pytest.fixture
    def url(self, serve: Serve) -> str:
        return serve(policy(BLOCK), saying(f"it is {SECRET}, ", then=silence))

    def test_a_streamed_completion(self, url: str) -> None:
        response = httpx.post(url + COMPLETIONS, json=completion(True))
        assert response.status_code == 200
        *pieces, filtered, error, done = chunks(response)
        assert content(pieces) == "it is "
        assert (filtered["choices"][0]["delta"], filtered["choices"][0]["finish_reason"]) == ({}, "content_filter")
        trace_id = response.headers["x-hestia-trace-id"]
        assert (error["error"]["code"], error["error"]["trace_id"]) == ("governance_block", trace_id)
        assert error["error"]["details"].items() >= DETAILS.items()
        assert done == "[DONE]"
        assert httpx.get(f"{url}/api/v1/trace/{trace_id}").json()["outcome"] == "blocked"

    def test_a_plain_completion(self, url: str) -> None:
        response = httpx.post(url + COMPLETIONS, json=completion(False))
        assert response.status_code == 403
        error = response.json()["error"]
        assert (error["code"], error["trace_id"]) == ("governance_block", response.headers["x-hestia-trace-id"])
        assert error["details"].items() >= DETAILS.items()

    def test_a_run(self, url: str) -> None:
        response = httpx.post(f"{url}/api/v1/run", json={"input": "go on"})
        assert (response.status_code, response.json()["code"]) == (403, "GOVERNANCE_BLOCK")
        assert response.json()["details"].items() >= DETAILS.items()

    def test_a_streamed_run(self, url: str) -> None:
        start, *tokens, error, done = chunks(httpx.post(f"{url}/api/v1/run/stream", json={"input": "go on"}))
        assert "".join(event["data"]["text"] for event in tokens) == "it is "
        assert [start["type"], error["type"], done["type"]] == ["start", "error", "done"]
        assert error["data"]["code"] == "GOVERNANCE_BLOCK"
        assert error["data"]["details"].items() >= DETAILS.items()

    def test_an_agent(self, url: str) -> None:
        result = httpx.post(f"{url}/api/agents/run", json={"agent_id": "a", "task": "go on"}).json()
        assert (result["status"], result["output"]) == ("BLOCKED", None)
        assert result.items() >= DETAILS.items()

    def test_what_rules_have_done_is_in_the_metrics(self, url: str) -> None:
        httpx.post(f"{url}/api/v1/run", json={"input": "go on"})
        found = metrics(url)
        assert found["hestiaos_rule_matches_total", "BLOCK", "r1"] == 1
        assert found["hestiaos_executions_total", "blocked"] == 1


def test_a_completion_that_begins_with_a_match_has_the_status_of_a_block(serve: Serve) -> None:
    url = serve(policy(BLOCK), saying(f"{SECRET}, ", then=silence))
    assert httpx.post(url + COMPLETIONS, json=completion(True)).status_code == 403


def test_shadow_hits_are_in_the_metrics(serve: Serve) -> None:
    url = serve(policy(BLOCK + 'mode = "shadow"'), saying(SECRET))
    assert httpx.post(f"{url}/api/v1/run", json={"input": "go on"}).json()["result"] == SECRET
    assert metrics(url)["hestiaos_shadow_hits_total", "BLOCK", "r1"] == 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_tool_call_that_is_allowed_arrives_unchanged(serve: Serve, stream: bool) -> None:
    arguments = '{"command": "ls",  "depth": 1.0}'
    response = httpx.post(serve(policy(NO_DELETING), calling(arguments)) + COMPLETIONS, json=completion(stream))
    choice = (chunks(response)[1] if stream else response.json())["choices"][0]
    [called] = choice["delta" if stream else "message"]["tool_calls"]
    assert (called["id"], called["function"]) == ("c1", {"name": "shell", "arguments": arguments})


@pytest.mark.parametrize("stream", [True, False])
def test_a_tool_call_that_is_not(serve: Serve, stream: bool) -> None:
    response = httpx.post(
        serve(policy(NO_DELETING), calling('{"command": "rm x"}')) + COMPLETIONS, json=completion(stream)
    )
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "governance_block"
    assert "rm x" not in response.text


@BROAD
def test_a_process_that_is_killed_leaves_a_trace_that_says_so(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    with Peer(answer=saying("on and on", then=silence)) as model:
        options = ("--store", str(store), "--model-url", f"{model.url}/v1", "--model", "tiny")
        with (
            ServedProcess(*options) as server,
            httpx.stream("POST", f"{server.url}/api/v1/run/stream", json={"input": "x"}) as stream,
        ):
            events = (json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
            trace_id = next(events)["trace_id"]
            assert next(events)["type"] == "token"
            server.send_signal(signal.SIGKILL)
        with ServedProcess(*options) as server:
            for path in ("v1/trace", "governance/trace"):
                assert httpx.get(f"{server.url}/api/{path}/{trace_id}").json()["outcome"] == "decided"
