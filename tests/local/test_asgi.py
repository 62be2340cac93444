"""The ASGI application, called without a server."""

from __future__ import annotations

import json
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from hestiaos_local import ConfigurationError, Platform, Store
from hestiaos_local.asgi import application
from hestiaos_local.execution import RelayExecutor
from hestiaos_local.serving import ASGIApplication, service_from_environment
from tests.local.test_server_models import COMPLETIONS, Steps, completion, wait_for_outcome
from tests.support.peer import Peer

KEY = {"Authorization": "Bearer k"}


def ask(app: Any, backend: str, *requests: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]) -> list[Any]:
    async def main() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await request(client) for request in requests]

    return anyio.run(main, backend=backend)


def test_operations(platform: Platform, backend: str) -> None:
    ran, blocked, gone, head, refused, large, coded, large_chat, unknown = ask(
        application(platform),
        backend,
        lambda client: client.post("/api/v1/run?x=1", json={"input": "create a report"}),
        lambda client: client.post("/api/v1/run", json={"input": "rm -rf /"}),
        lambda client: client.get("/api/secrets/a%2Fb"),
        lambda client: client.head("/health"),
        lambda client: client.put("/api/v1/run"),
        lambda client: client.post("/api/v1/run", content=b"x" * (17 * 1024**2)),
        lambda client: client.post("/api/v1/run", content=b"x", headers={"Content-Encoding": "gzip"}),
        lambda client: client.post(COMPLETIONS, content=b"x" * (17 * 1024**2)),
        lambda client: client.get("/v1/embeddings"),
    )
    assert ran.json()["result"] == "processed: create a report"
    assert (blocked.status_code, blocked.json()["code"]) == (403, "GOVERNANCE_BLOCK")
    assert "'a/b'" in gone.json()["message"]
    assert platform.measurements.counts().requests["", "405"] == 1
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST")
    assert (large.status_code, coded.status_code) == (413, 415)
    assert (large_chat.status_code, large_chat.json()["error"]["type"]) == (413, "invalid_request_error")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "unknown_operation")


def test_streams(platform: Platform, backend: str) -> None:
    events, chunks = ask(
        application(platform, token_delay=0.0),
        backend,
        lambda client: client.post("/api/v1/run/stream", json={"input": "hi"}),
        lambda client: client.post(COMPLETIONS, content=completion(stream=True)),
    )
    assert events.headers["content-type"] == "text/event-stream"
    types = [json.loads(line[6:])["type"] for line in events.text.split("\n\n") if line]
    assert types == ["start", "token", "token", "final", "done"]
    assert chunks.text.endswith("data: [DONE]\n\n")
    assert chunks.headers["x-hestia-trace-id"]


def test_a_key(platform: Platform, backend: str) -> None:
    statuses = [
        response.status_code
        for response in ask(
            application(platform, api_key="k"),
            backend,
            lambda client: client.get("/api/system/status"),
            lambda client: client.get("/api/system/status", headers=KEY),
            lambda client: client.get("/openapi.json"),
            lambda client: client.get("/v1/models", headers={"Origin": "https://other.example", **KEY}),
        )
    ]
    assert statuses == [401, 200, 200, 403]


class Call:
    """A call of an application by hand: what it is sent, and what it sends."""

    def __init__(self, app: Any, path: str, body: bytes = b"", **scope: Any) -> None:
        self.app = app
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
        } | scope
        self.body = body
        self.gone = anyio.Event()
        self.sent: list[Any] = []
        self.came = anyio.Event()
        self._received = False

    async def receive(self) -> dict[str, Any]:
        if not self._received:
            self._received = True
            return {"type": "http.request", "body": self.body}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if b"t0" in message.get("body", b""):
            self.came.set()

    async def run(self) -> None:
        await self.app(self.scope, self.receive, self.send)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_cancels_the_work(backend: str, stream: bool, tmp_path: Path) -> None:
    steps, asked = Steps(), threading.Event()

    def scripted(request: Any) -> Any:
        asked.set()
        return steps.script()

    with Peer(answer=scripted) as model:
        store = Store(tmp_path / "store.db")
        platform = Platform(executor=RelayExecutor(f"{model.url}/v1", model="tiny"), store=store, new_id=lambda: "id")

        async def main() -> Call:
            call = Call(application(platform), COMPLETIONS, completion(stream=stream))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call.run)
                steps.events[0].set()
                if stream:
                    await call.came.wait()
                else:
                    await anyio.to_thread.run_sync(asked.wait)
                call.gone.set()
            return call

        with platform:
            call = anyio.run(main, backend=backend)
            assert wait_for_outcome(store, "id") == "cancelled"
    assert bool(call.sent) == stream


@pytest.mark.parametrize(("client", "status"), [(("192.0.2.1", 1), 421), (("::1", 1), 200), (None, 200)])
def test_without_a_key_it_answers_this_machine_only(platform: Platform, client: Any, status: int) -> None:
    async def main() -> int:
        call = Call(application(platform), "/health", method="GET", client=client)
        await call.run()
        return int(call.sent[0]["status"])

    assert anyio.run(main) == status


def test_below_a_root_path(platform: Platform) -> None:
    async def main() -> int:
        call = Call(application(platform), "/hestia/health", method="GET", root_path="/hestia")
        await call.run()
        return int(call.sent[0]["status"])

    assert anyio.run(main) == 200


def live(app: Any) -> list[Any]:
    """Start the application, ask for its configuration where it has started, and shut it down."""
    sent: list[Any] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        if sent:
            call = Call(app, "/api/system/config", method="GET", headers=[*KEY_HEADERS])
            await call.run()
            sent.append(json.loads(call.sent[1]["body"]))
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    anyio.run(app, {"type": "lifespan"}, receive, send)
    return sent


KEY_HEADERS = [(b"host", b"example.com"), (b"authorization", b"Bearer k")]


def test_it_lives_as_its_environment_says(tmp_path: Path) -> None:
    file = tmp_path / "hestia.toml"
    file.write_text('version = 1\nstore = "kept.db"\n[[models]]\nname = "small"\nurl = "http://localhost:1/v1"\n')
    environ = {"HESTIAOS_CONFIG": str(file), "HESTIAOS_API_KEY": "k", "HESTIAOS_KEEP_DAYS": "7"}
    started, config, ended = live(ASGIApplication(lambda: service_from_environment(environ)))
    assert (started["type"], ended["type"]) == ("lifespan.startup.complete", "lifespan.shutdown.complete")
    assert (config["storage"], config["model"]) == ("sqlite", "small")
    assert (tmp_path / "kept.db").exists()


def test_what_is_kept(backend: str) -> None:
    app = ASGIApplication(lambda: service_from_environment({"HESTIAOS_KEEP_COUNT": "10"}))
    runs = [lambda client: client.post("/api/v1/run", json={"input": "hi"})] * 100
    traces = [response.json()["trace_id"] for response in ask(app, backend, *runs)]
    asked = [lambda client, each=each: client.get(f"/api/v1/trace/{each}") for each in (traces[89], traces[90])]
    assert [response.status_code for response in ask(app, backend, *asked)] == [404, 200]


def metrics_after(folder: str, runs: int) -> dict[str, float]:
    """A worker's `/metrics` after so many runs: each sample by its name and labels."""
    service = service_from_environment({"PROMETHEUS_MULTIPROC_DIR": folder})
    run = [lambda client: client.post("/api/v1/run", json={"input": "hi"})] * runs
    *_, told = ask(ASGIApplication(lambda: service), "asyncio", *run, lambda client: client.get("/metrics"))
    assert service.shared_metrics is not None
    service.shared_metrics.close()
    lines = [line.rpartition(" ") for line in told.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_the_metrics_of_several_workers_are_added(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        other.submit(metrics_after, str(tmp_path), 2).result()
    found = metrics_after(str(tmp_path), 3)
    assert found['hestiaos_requests_total{operation="run",status="200"}'] == 5
    assert found['hestiaos_request_duration_seconds_count{operation="run"}'] == 5
    assert found['hestiaos_request_duration_seconds_bucket{le="300.0",operation="run"}'] == 5
    assert found["hestiaos_open_streams"] == 0
    assert found["hestiaos_uptime_seconds"] >= 0


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"PROMETHEUS_MULTIPROC_DIR": "/no/such"}, "must be an existing directory, not '/no/such'"),
        ({"HESTIAOS_KEEP_DAYS": "week"}, "HESTIAOS_KEEP_DAYS must be a number, not 'week'"),
        ({"HESTIAOS_KEEP": "all"}, "HESTIAOS_KEEP must be one of text, hash, not 'all'"),
        ({"HESTIAOS_POLICY": "/no/such.json"}, "/no/such.json"),
        ({"HESTIAOS_STORE": "/dev/null/store.db"}, "/dev/null"),
    ],
)
def test_what_cannot_be_is_told_to_the_server(environ: dict[str, str], told: str) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    anyio.run(ASGIApplication(lambda: service_from_environment(environ)), {"type": "lifespan"}, receive, send)
    assert sent[0]["type"] == "lifespan.startup.failed"
    assert told in sent[0]["message"]


def test_keys_of_a_file_without_any_are_not_served(tmp_path: Path) -> None:
    (tmp_path / "keys.toml").write_text("version = 1\n")
    (tmp_path / "keys.toml").chmod(0o600)
    with pytest.raises(ConfigurationError, match="there are no keys, so every request would be refused"):
        service_from_environment({"HESTIAOS_KEYS": str(tmp_path / "keys.toml")})
