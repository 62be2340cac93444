"""The in-process transport, under httpx's own clients."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from hestiaos_local import LocalTransport, Platform, Store
from hestiaos_proto import RunResponse, RunStream, StreamEvent
from tests.support.broad import LOOPS

URL = "http://platform"
LONG = {"input": "word " * 1_000_000}


def fetch(platform: Platform, method: str, path: str, **rest: Any) -> httpx.Response:
    with httpx.Client(transport=LocalTransport(platform), base_url=URL) as client:
        return client.request(method, path, **rest)


def fetch_async(platform: Platform, method: str, path: str, backend: str, **rest: Any) -> httpx.Response:
    async def main() -> httpx.Response:
        async with httpx.AsyncClient(transport=LocalTransport(platform), base_url=URL) as client:
            return await client.request(method, path, **rest)

    return anyio.run(main, backend=backend)


def fetch_asyncio(platform: Platform, method: str, path: str, **rest: Any) -> httpx.Response:
    return fetch_async(platform, method, path, "asyncio", **rest)


def fetch_trio(platform: Platform, method: str, path: str, **rest: Any) -> httpx.Response:
    return fetch_async(platform, method, path, "trio", **rest)


@pytest.fixture(params=[fetch, fetch_asyncio, fetch_trio], ids=["sync", "asyncio", "trio"])
def send(request: pytest.FixtureRequest, platform: Platform) -> Callable[..., httpx.Response]:
    return lambda *args, **rest: request.param(platform, *args, **rest)


def test_a_result(send: Callable[..., httpx.Response]) -> None:
    response = send("POST", "/api/v1/run", json={"input": "create a report"})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    run = RunResponse.from_wire(response.json())
    assert (run.result, run.mode) == ("processed: create a report", "ALLOW")
    assert send("GET", f"/api/v1/trace/{run.trace_id}").json()["decision"] == "ALLOW"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/api/v1/run", b'{"input": ""}', 422),
        ("POST", "/api/v1/run/stream", b'{"input": "rm -rf /"}', 403),
        ("POST", "/api/v1/run", b"{", 422),
        ("GET", "/api/v1/run", b"", 405),
        ("GET", "/api/secrets/..%2Fsystem%2Fconfig", b"", 404),
        ("GET", "/nowhere?x=1", b"", 404),
    ],
)
def test_a_refusal(
    send: Callable[..., httpx.Response], method: str, path: str, body: bytes, status: int, server_faults: list[str]
) -> None:
    response = send(method, path, content=body)
    assert response.status_code == status
    assert set(response.json()) >= {"error", "code", "message", "trace_id"}


def test_a_fault_of_the_platform(
    send: Callable[..., httpx.Response], platform: Platform, server_faults: list[str]
) -> None:
    platform.close()
    response = send("POST", "/api/v1/run", json={"input": "x"})
    assert (response.status_code, response.json()["message"]) == (500, "the server failed")
    assert "is closed" in server_faults.pop()


def test_a_stream(send: Callable[..., httpx.Response]) -> None:
    response = send("POST", "/api/v1/run/stream", json={"input": "create a report"})
    assert response.headers["content-type"] == "text/event-stream"
    stream = RunStream()
    stream.receive_data(response.content)
    stream.receive_data(b"")
    assert [event.type for event in stream.events()] == ["start", *["token"] * 4, "final", "done"]
    assert stream.text == "processed: create a report"


class Watched(Platform):
    """Notes what becomes of its streams."""

    made = 0
    ended = False

    def respond(self, call: Any) -> object:
        events = super().respond(call)
        assert isinstance(events, Iterator)
        return self._watch(events)

    def _watch(self, events: Iterator[StreamEvent]) -> Iterator[StreamEvent]:
        try:
            for event in events:
                self.made += 1
                yield event
        finally:
            self.ended = True


def test_a_stream_is_made_as_it_is_read_and_dropped_when_left() -> None:
    with Watched() as platform, httpx.Client(transport=LocalTransport(platform), base_url=URL) as client:
        with client.stream("POST", "/api/v1/run/stream", json=LONG) as response:
            assert b'"start"' in next(response.iter_raw())
            assert platform.made < 3
        assert platform.ended


@pytest.mark.parametrize("backend", LOOPS)
def test_an_async_stream_is_made_as_it_is_read_and_can_be_cancelled(backend: str) -> None:
    async def main() -> None:
        async with httpx.AsyncClient(transport=LocalTransport(platform), base_url=URL) as client:
            with anyio.CancelScope() as scope:
                async with client.stream("POST", "/api/v1/run/stream", json=LONG) as response:
                    async for _ in response.aiter_raw():
                        scope.cancel()
            assert scope.cancelled_caught

    with Watched() as platform:
        anyio.run(main, backend=backend)
        assert platform.made < 3
        assert platform.ended


def test_closing_the_transport_leaves_the_platform_open(platform: Platform) -> None:
    for _ in range(2):
        assert fetch(platform, "GET", "/api/v1/health").status_code == 200


def test_the_platform_alone_loads_neither_httpx_nor_anyio() -> None:
    code = """
import sys, hestiaos_local
assert not {"httpx", "anyio"} & set(sys.modules), "loaded too early"
assert all(getattr(hestiaos_local, name) for name in hestiaos_local.__all__)
assert {"httpx", "anyio"} <= set(sys.modules), "not loaded at all"
assert set(hestiaos_local.__all__) <= set(dir(hestiaos_local))
"""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ)


def test_an_unknown_name_is_an_attribute_error() -> None:
    import hestiaos_local

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hestiaos_local.nothing  # noqa: B018  # the access is what is tested


@pytest.mark.parametrize("via", [fetch, fetch_asyncio, fetch_trio], ids=["sync", "asyncio", "trio"])
def test_a_store_that_fails_is_named(
    via: Callable[..., httpx.Response], tmp_path: Path, server_faults: list[str]
) -> None:
    file = tmp_path / "store.db"
    with Platform(store=Store(file, busy_timeout=0.0)) as platform, contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        response = via(platform, "POST", "/api/v1/run", json={"input": "x"})
    assert (response.status_code, response.json()["code"]) == (503, "STORE_UNAVAILABLE")
    assert response.headers["retry-after"] == "1"
    told = f"{file} is locked by another program (database is locked): try again, or end what is using it"
    assert response.json()["message"] == told
    assert server_faults == []  # the caller has heard it


def test_head_has_no_body(platform: Platform) -> None:
    with httpx.Client(transport=LocalTransport(platform)) as client:
        response = client.head("http://localhost/health")
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 0
