"""`hestiaos_local.asgi:app` under ASGI servers, as processes: uvicorn by default, all three in the session `asgi`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from hestiaos import Client, GovernanceBlock, InvalidInput, NotFound
from hestiaos_local import Store
from tests.local.test_server_models import COMPLETIONS, Steps, completion, payload, wait_for_outcome
from tests.support.asgi_servers import ASGIServer
from tests.support.peer import Peer
from tests.support.raw_client import RUN, RawClient, post

NAMES = os.environ.get("HESTIAOS_TEST_ASGI", "uvicorn").split()


@pytest.fixture(params=NAMES, scope="module")
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def url(name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Two workers on one file, which share their metrics."""
    folder = tmp_path_factory.mktemp(name)
    metrics = folder / "metrics"
    metrics.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMETHEUS_MULTIPROC_DIR", str(metrics))
        server = ASGIServer(name, folder / "log", workers=2, STORE=str(folder / "store.db"), TOKEN_DELAY="0")
    with server:
        yield server.url


def test_our_client(url: str) -> None:
    with Client(base_url=url) as client:
        trace_id = client.run("create a report").trace_id
        assert client.trace(trace_id).decision == "ALLOW"
        with client.run_stream("create a report") as stream:
            assert [event.type for event in stream] == ["start", *["token"] * 4, "final", "done"]
        client.secrets.set("a/b ü", "v")
        assert client.secrets.get("a/b ü") == "v"
        client.secrets.delete("a/b ü")
        with pytest.raises(NotFound):
            client.secrets.get("a/b ü")
        with pytest.raises(GovernanceBlock):
            client.run("rm -rf /")
        with pytest.raises(InvalidInput):
            client.run(" ")


@pytest.mark.thorough
def test_many_clients_of_one_file(url: str) -> None:
    """Each request finds what another worker has stored."""

    def run(number: int) -> str:
        with Client(base_url=url) as client:
            return client.run(f"report {number}").trace_id

    with ThreadPoolExecutor(8) as pool:
        trace_ids = list(pool.map(run, range(40)))
    with Client(base_url=url) as client:
        assert [client.trace(trace_id).decision for trace_id in trace_ids] == ["ALLOW"] * 40


def test_the_metrics_are_those_of_all_workers(url: str) -> None:
    """Each worker writes its own every second."""
    for _ in range(20):
        assert httpx.post(f"{url}/api/chat", json={"message": "hi", "session_id": None}).status_code == 200
    message = 'hestiaos_requests_total{operation="chat",status="200"} 20.0'
    until = monotonic() + 60
    while message not in (text := httpx.get(f"{url}/metrics").text):
        assert monotonic() < until, text


def test_a_key_that_comes_twice_is_executed_once(url: str) -> None:
    headers = {"Idempotency-Key": "the-same"}
    traces = {
        httpx.post(f"{url}/api/v1/run", json={"input": "hi"}, headers=headers).json()["trace_id"] for _ in range(8)
    }
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/health", b"", 200),
        ("HEAD", "/health", b"", 200),
        ("GET", "/openapi.json", b"", 200),
        ("GET", "/metrics", b"", 200),
        ("GET", "/v1/models", b"", 200),
        ("PUT", "/api/v1/run", b"", 405),
        ("GET", "/nothing", b"", 404),
        ("GET", "/api/secrets/%FF", b"", 422),
        ("POST", "/api/v1/run", b"[", 422),
        ("POST", COMPLETIONS, b"[", 400),
        ("POST", "/api/v1/run", b"x" * (17 * 1024**2), 413),
    ],
)
def test_statuses(url: str, method: str, path: str, body: bytes, status: int) -> None:
    response = httpx.request(method, url + path, content=body)
    assert response.status_code == status
    assert len(response.headers.get_list("server")) <= 1
    if method == "HEAD":
        assert response.content == b""


def test_a_chunked_body(url: str) -> None:
    response = httpx.post(f"{url}/api/v1/run", content=iter([RUN[:5], RUN[5:]]))
    assert response.json()["result"] == "processed: create a report"


def test_requests_on_one_connection(url: str) -> None:
    with RawClient(url) as client:
        for _ in range(3):
            client.send(post("/api/v1/run", RUN))
            assert client.response()[1]["mode"] == "ALLOW"


@pytest.mark.thorough
def test_tokens_come_one_by_one_and_who_goes_cancels_the_work(name: str, tmp_path: Path) -> None:
    steps = Steps()
    file = tmp_path / "store.db"
    with (
        Peer(answer=lambda request: steps.script()) as model,
        ASGIServer(name, tmp_path / "log", STORE=str(file), MODEL_URL=f"{model.url}/v1", MODEL="tiny") as server,
    ):
        with RawClient(server.url) as client:
            client.send(post(COMPLETIONS, completion(stream=True), "Content-Type: application/json"))
            steps.events[0].set()
            status, headers = client.head()
            assert status == 200
            for number in range(2):
                steps.events[number].set()
                while f"t{number}" not in (content := _content(client)):
                    assert content == ""
        with closing(Store(file)) as store:
            assert wait_for_outcome(store, headers["x-hestia-trace-id"]) == "cancelled"


def _content(client: RawClient) -> str:
    delta: dict[str, Any] = payload(client.event())["choices"][0]["delta"]
    return str(delta.get("content", ""))


@pytest.mark.thorough
def test_the_key_of_the_environment_and_a_clean_end(name: str, tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with ASGIServer(name, tmp_path / "log", STORE=str(file), API_KEY="k") as server:
        assert httpx.get(f"{server.url}/api/system/status").status_code == 401
        assert httpx.get(f"{server.url}/health").json().keys() == {"status", "version"}
        with Client(base_url=server.url, api_key="k") as client:
            trace_id = client.run("hi").trace_id
        assert server.stop() in (0, -15)  # uvicorn raises the signal again
    assert not file.with_name("store.db-wal").exists(), "the file holds everything by itself"
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT count(*) FROM traces WHERE trace_id = ?", (trace_id,)).fetchone() == (1,)


@pytest.mark.thorough
def test_an_environment_that_cannot_be_ends_the_server(name: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        pytest.raises(AssertionError, match="KEEP_DAYS must be a number"),
        closing(ASGIServer(name, log, KEEP_DAYS="week")) as server,
        server,
    ):
        pass
