"""Clients that are not ours before a served platform with a real model: the published one, and curl."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.served_process import ServedProcess

RELEASE = "hestiaos==1.0.0"

PUBLISHED = """\
import asyncio, json, sys
from importlib.metadata import version
from hestiaos import AsyncClient, Client, GovernanceBlock

assert version("hestiaos") == "1.0.0"
url, key = sys.argv[1:]

async def main():
    async with AsyncClient(base_url=url, api_key=key) as client:
        run = await client.run_async("create a report")
        chats = [await client.chat.run_async(message, "s") for message in ("one", "two")]
        agent = await client.agents.run_async("poet", "rhyme")
        events = [(event.type, event.data) async for event in client.run_stream("create a report")]
        status = await client.system.status_async()
        metrics = await client.system.metrics_async()
        await client.secrets.set_async("name", "value")
        try:
            await client.run_async("rm -rf /")
            blocked = False
        except GovernanceBlock:
            blocked = True
        print(json.dumps({
            "run": run.result, "trace": (await client.governance.trace_async(run.trace_id))["outcome"],
            "chats": [[chat.response, chat.session_id, chat.model] for chat in chats],
            "agent": [agent.status, agent.output], "events": events,
            "status": [status.status, status.ollama], "requests": metrics.requests_total,
            "secret": await client.secrets.get_async("name"), "blocked": blocked,
        }))

asyncio.run(main())
print(Client(base_url=url, api_key=key).run("create a report").mode)
print(json.dumps([event.type for event in Client(base_url=url, api_key=key).run_stream("create a report")]))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment that has the published client alone."""
    folder = tmp_path_factory.mktemp("published")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", RELEASE]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{RELEASE} cannot be installed: {(done.stderr.strip().splitlines() or [''])[-1]}")
    return python


def test_the_published_client(served: ServedProcess, published: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PUBLISHED)
    command = [published, "-I", str(script), served.url, "key"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    report, mode, kinds = done.stdout.splitlines()
    report = json.loads(report)
    assert report["run"]
    assert (report["trace"], report["blocked"], report["secret"]) == ("completed", True, "value")
    assert [(session, model) for _, session, model in report["chats"]] == [("s", "small")] * 2
    assert all(text for text, _, _ in report["chats"])
    assert report["agent"][0] == "COMPLETED"
    assert report["status"] == ["OK", True]
    assert report["requests"] > 5
    (start, _), *tokens, (final, result), (done_, _) = report["events"]
    assert (start, final, done_) == ("start", "final", "done")
    assert {kind for kind, _ in tokens} == {"token"}
    assert "".join(data["text"] for _, data in tokens) == result["result"]
    assert mode == "ALLOW"
    *_, last = json.loads(kinds)
    assert last == "done"


def curl(url: str, *options: str, **body: Any) -> subprocess.CompletedProcess[str]:
    fields = ["-H", "Authorization: Bearer key", "-H", "Content-Type: application/json", "-d", json.dumps(body)]
    command = ["curl", "-sS", "--no-buffer", "--max-time", "60", *fields, *options, url]
    return subprocess.run(command, capture_output=True, text=True, check=True)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
class TestCurl:
    def test_a_run_and_its_stream(self, served: ServedProcess) -> None:
        assert json.loads(curl(f"{served.url}/api/v1/run", input="create a report").stdout)["mode"] == "ALLOW"
        lines = curl(f"{served.url}/api/v1/run/stream", input="create a report").stdout.splitlines()
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
        start, *tokens, final, done = events
        assert [start["type"], final["type"], done["type"]] == ["start", "final", "done"]
        assert "".join(token["data"]["text"] for token in tokens) == final["data"]["result"]

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_completion(self, served: ServedProcess, stream: bool) -> None:
        body = {
            "model": "small",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": stream,
            "grammar": 'root ::= "exactly this text"',
        }
        printed = curl(f"{served.url}/v1/chat/completions", "-D", "-", **body).stdout
        head, _, content = printed.partition("\n\n")
        assert head.startswith("HTTP/1.1 200")
        assert "x-hestia-trace-id: " in head.lower()
        if stream:
            assert content.endswith("data: [DONE]\n\n")
            *events, _ = filter(None, content.splitlines())
            chunks = [json.loads(line.removeprefix("data: ")) for line in events]
            text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
        else:
            text = json.loads(content)["choices"][0]["message"]["content"]
        assert text == "exactly this text"

    def test_a_wrong_key(self, served: ServedProcess) -> None:
        printed = curl(f"{served.url}/v1/chat/completions", "-w", "%{http_code}", "-H", "Authorization: Bearer wrong")
        assert printed.stdout.endswith("401")
