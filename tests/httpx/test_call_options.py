"""What a call may be given for itself alone, as it goes over the wire, and what its hooks are given."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from hestiaos import AsyncClient, Client, HestiaError, Hooks, ServerError, TimedOut
from tests.support.peer import Peer
from tests.support.steps import send, silence
from tests.support.wire import GOOD_STREAM, response

BUSY = send(response(503, b"", "Retry-After: 0"))
SOON = 20.0  # seconds; much longer than the timeouts here, much shorter than those of the clients

Run = Callable[..., Any]


def run_sync(client: AsyncClient, *arguments: Any, **options: Any) -> Any:
    return client.run(*arguments, **options)


def run_on(backend: str) -> Run:
    def run(client: AsyncClient, *arguments: Any, **options: Any) -> Any:
        async def main() -> Any:
            try:
                return await client.run_async(*arguments, **options)
            finally:
                await client.aclose()

        return anyio.run(main, backend=backend)

    return run


RUNS = pytest.mark.parametrize("run", [run_sync, run_on("asyncio"), run_on("trio")], ids=["sync", "asyncio", "trio"])


@RUNS
def test_headers_and_the_key(run: Run) -> None:
    with Peer() as peer, AsyncClient(peer.url, headers={"X-A": "client", "X-B": "client"}) as client:
        run(client, "x", headers={"X-B": "call", "X-C": "call"}, idempotency_key="mine")
        headers = peer.requests[0].headers
        assert [headers[name] for name in ("x-a", "x-b", "x-c", "idempotency-key")] == [
            "client",
            "call",
            "call",
            "mine",
        ]


@RUNS
def test_retries_of_a_call(run: Run) -> None:
    with Peer([BUSY], [BUSY]) as peer, AsyncClient(peer.url, retries=5) as client:
        with pytest.raises(ServerError) as refused:
            run(client, "x", retries=1)
        assert refused.value.status_code == 503
        assert len({request.headers["idempotency-key"] for request in peer.requests}) == 1
        assert len(peer.requests) == 2


@RUNS
@pytest.mark.parametrize("options", [{"timeout": 0.2, "timeout_ms": 1}, {"deadline": 0.2}])
def test_timeout_and_deadline_of_a_call(run: Run, options: dict[str, Any]) -> None:
    with Peer([silence]) as peer, AsyncClient(peer.url, retries=0, timeout=60.0) as client:
        begun = time.monotonic()
        with pytest.raises(TimedOut):
            run(client, "x", **options)
        assert time.monotonic() - begun < SOON


@RUNS
def test_hooks_of_the_client_and_of_the_call(run: Run) -> None:
    def recorder(who: str) -> Hooks:
        return Hooks(
            on_request=lambda call, request: calls.append(f"{who} request {call.attempt} {request.method}"),
            on_response=lambda call, answer: calls.append(f"{who} response {answer.status}"),
            on_retry=lambda call, error, pause: calls.append(f"{who} retry {type(error).__name__}"),
            on_call_end=lambda call, error: calls.append(f"{who} end {error}"),
        )

    calls: list[str] = []
    with Peer([BUSY]) as peer, AsyncClient(peer.url, hooks=recorder("client")) as client:
        run(client, "x", hooks=recorder("call"))
    each = ["request 0 POST", "response 503", "retry ServerError", "request 1 POST", "response 200", "end None"]
    assert calls == [f"{who} {what}" for what in each for who in ("client", "call")]


@RUNS
def test_a_hook_that_raises_ends_the_call(run: Run) -> None:
    def refuse(call: object, request: object) -> None:
        raise LookupError("not this one")

    with Peer() as peer, AsyncClient(peer.url) as client:
        with pytest.raises(LookupError, match="not this one"):
            run(client, "x", hooks=Hooks(on_request=refuse))
        assert peer.requests == []


def test_options_of_a_stream() -> None:
    calls: list[str] = []
    hooks = Hooks(
        on_stream_event=lambda call, event: calls.append(event.type),
        on_call_end=lambda call, error: calls.append(f"end {error}"),
    )
    with Peer([BUSY], [send(GOOD_STREAM)]) as peer, Client(peer.url) as client:
        stream = client.run_stream("x", headers={"X-A": "1"}, idempotency_key="mine", hooks=hooks, retries=1)
        types = [event.type for event in stream]
        assert calls == [*types, "end None"]
        sent = [(request.headers["x-a"], request.headers["idempotency-key"]) for request in peer.requests]
        assert sent == [("1", "mine")] * 2


def test_a_stream_on_asyncio_and_trio() -> None:
    async def main(peer: Peer) -> None:
        async with AsyncClient(peer.url) as client:
            stream = client.run_stream("x", headers={"X-A": "1"}, deadline=30.0, retries=0)
            assert [event.type async for event in stream][-1] == "done"
            peer.add([BUSY])
            with pytest.raises(HestiaError, match="503"):
                await anext(client.run_stream("x", retries=0))

    with Peer() as peer:
        for backend in "asyncio", "trio":
            anyio.run(main, peer, backend=backend)
        assert [request.headers.get("x-a") for request in peer.requests] == ["1", None] * 2
