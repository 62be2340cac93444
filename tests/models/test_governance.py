"""Governance of what real model servers say and call, on both wires: nothing that is forbidden reaches a client."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from attrs import frozen

from tests.support.model_servers import FakeServer, LlamaServer
from tests.support.served_process import ServedProcess

SECRET = "tango-9973-alpha"
SAID = f"it is {SECRET}, yes"

CONFIGURATION = """\
version = 1

[[models]]
name = "redacted"
url = "{llama}"
model = "tiny"

[[models]]
name = "blocked"
url = "{llama}"
model = "tiny"

[[models]]
name = "unruled"
url = "{llama}"
model = "tiny"

[[models]]
name = "gpt-4o"
url = "{fake}"

[[agents]]
id = "blocked"
model = "blocked"
"""

POLICY = rf"""
version = 2
name = "team"

[[rules]]
name = "redacted"
on = "output"
models = ["redacted"]
pattern = '{SECRET}'
action = "redact"

[[rules]]
name = "blocked"
on = "output"
models = ["blocked"]
pattern = '{SECRET}'
decision = "BLOCK"
reason = "a secret"

[[rules]]
name = "no-paris"
on = "tool"
tools = ["get_weather"]
path = "city"
pattern = 'Paris'
decision = "BLOCK"
reason = "not there"
"""


@frozen
class Governed:
    """A served platform, and the folder with all that it keeps."""

    url: str
    folder: Path

    def complete(self, model: str, text: str = "say it", *, stream: bool) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=30)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/api/{path}", json=body, timeout=30)


@pytest.fixture(scope="module")
def llama_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model that says one text, whatever it is asked, a token for each of its characters."""
    pytest.importorskip("xllamacpp")
    with LlamaServer(tmp_path_factory.mktemp("llama"), key=None, grammar=f'root ::= "{SAID}"') as server:
        with httpx.stream("POST", f"{server.url}/chat/completions", json={"messages": [], "stream": True}) as response:
            assert sum('"content":' in line for line in response.iter_lines()) > len(SECRET)
        yield server.url


@pytest.fixture(scope="module")
def served(llama_url: str, fake: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Governed]:
    folder = tmp_path_factory.mktemp("governed")
    (folder / "hestia.toml").write_text(CONFIGURATION.format(llama=llama_url, fake=fake.url))
    (folder / "policy.toml").write_text(POLICY)
    store = folder / "store"
    store.mkdir()
    options = ("--config", folder / "hestia.toml", "--policy", folder / "policy.toml", "--store", store / "kept.db")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("HESTIAOS_STORE_KEY", "key of the store")
        process = stack.enter_context(ServedProcess(*map(str, options), quiet=False))
        yield Governed(process.url, store)
        process.send_signal(signal.SIGTERM)
        status, log = process.end()
    assert (status, "ALLOW blocked" in log, SECRET in log) == (0, True, False)


def told(response: httpx.Response) -> str:
    """All that a client was told: the text of a stream is in its events' pieces."""
    if not response.headers["content-type"].startswith("text/event-stream"):
        return response.text
    events = [line[6:] for line in response.text.split("\n\n") if line.startswith("data: {")]
    return "".join(map(_text, map(json.loads, events))) + response.text


def _text(event: Any) -> str:
    if "choices" in event:
        return "".join(choice["delta"].get("content") or "" for choice in event["choices"])
    return str(event.get("data", {}).get("text", ""))


class TestASecret:
    @pytest.mark.parametrize("stream", [True, False])
    def test_it_is_redacted_at_the_front_door(self, served: Governed, stream: bool) -> None:
        response = served.complete("redacted", stream=stream)
        assert response.status_code == 200
        assert "it is [redacted], yes" in told(response)
        assert SECRET not in told(response)

    @pytest.mark.parametrize("stream", [True, False])
    def test_it_is_blocked_at_the_front_door(self, served: Governed, stream: bool) -> None:
        response = served.complete("blocked", stream=stream)
        assert response.status_code == (200 if stream else 403)
        assert ("content_filter" in response.text) is stream
        assert '"code":"governance_block"' in response.text
        assert told(response).startswith("it is ") is stream
        assert SECRET not in told(response)

    def test_it_is_redacted_on_our_wire(self, served: Governed) -> None:
        run = served.post("v1/run", input="say it")
        streamed = served.post("v1/run/stream", input="say it")
        chat = served.post("chat", message="say it", session_id="s")
        for response in (run, streamed, chat):
            assert "it is [redacted], yes" in told(response)
            assert SECRET not in told(response)

    def test_it_is_blocked_on_our_wire(self, served: Governed) -> None:
        context = {"agent_id": "blocked"}
        run = served.post("v1/run", input="say it", context=context)
        streamed = served.post("v1/run/stream", input="say it", context=context)
        agent = served.post("agents/run", agent_id="blocked", task="say it")
        assert (run.status_code, streamed.status_code) == (403, 200)
        assert '"GOVERNANCE_BLOCK"' in streamed.text
        assert agent.json()["status"] == "BLOCKED"
        for response in (run, streamed, agent):
            assert SECRET not in told(response)

    def test_it_is_in_nothing_that_is_kept(self, served: Governed) -> None:
        """Not even where no rule is about it, and a client may see it, for it is the value of a stored secret."""
        served.post("secrets", credential_ref="code", secret=SECRET, provider="test")
        asked = [served.complete("unruled", stream=stream) for stream in (True, False)]
        assert all(SECRET in told(response) for response in asked)
        asked += [served.complete("redacted", f"say {SECRET}", stream=True)]
        asked += [served.complete("blocked", f"say {SECRET}", stream=True)]
        served.post("chat", message=f"say {SECRET}", session_id="s")
        metrics = httpx.get(f"{served.url}/metrics").text
        assert 'hestiaos_rule_matches_total{decision="redact",rule="redacted"}' in metrics
        traces = [
            httpx.get(f"{served.url}/api/governance/trace/{response.headers['x-hestia-trace-id']}").text
            for response in asked
        ]
        assert "say [secret]" in traces[2]
        assert "it is [secret], yes" in traces[0]
        kept = b"".join(file.read_bytes() for file in served.folder.iterdir())
        assert b"say [secret]" in kept
        assert not [text for text in (metrics, *traces, kept.decode("latin-1")) if SECRET in text]


class TestAToolCall:
    """fakellm sends the arguments in fragments."""

    @pytest.mark.parametrize("stream", [True, False])
    def test_one_that_is_forbidden(self, served: Governed, stream: bool) -> None:
        response = served.complete("gpt-4o", "the weather, please", stream=stream)
        assert '"code":"governance_block"' in response.text
        assert "Paris" not in response.text

    @pytest.mark.parametrize("stream", [True, False])
    def test_one_that_is_allowed(self, served: Governed, fake: FakeServer, stream: bool) -> None:
        response = served.complete("gpt-4o", "the hour, please", stream=stream)
        if stream:
            events = [json.loads(line[6:]) for line in response.text.split("\n\n") if line.startswith("data: {")]
            [call] = [call for event in events for call in event["choices"][0]["delta"].get("tool_calls", [])]
        else:
            [call] = response.json()["choices"][0]["message"]["tool_calls"]
        assert call["function"] == {"name": "get_time", "arguments": '{"zone": "Europe/Paris", "24": true}'}
