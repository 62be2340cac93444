"""The transports that httpx and httpx2 bring along: `MockTransport`, and `ASGITransport` for an application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from hestiaos import GovernanceBlock
from tests.support.bindings import HttpxAsyncio, HttpxSync, HttpxTrio
from tests.support.over_httpx import GOOD_TYPES, use
from tests.support.sessions import KEY
from tests.support.wire import GOOD_EVENTS, RUN, event, events

URL = "http://hestiaos.test"


@pytest.fixture(params=["httpx", "httpx2"])
def http(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


@pytest.fixture(params=[HttpxSync, HttpxAsyncio, HttpxTrio], ids=lambda binding: binding.name)
def binding(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=["transport", "http_client"])
def given(request: pytest.FixtureRequest) -> Any:
    return request.param


def options(http: Any, binding: Any, given: str, transport: Any) -> dict[str, Any]:
    """The client's arguments for a transport: itself, or a client with it."""
    if given == "transport":
        return {"transport": transport}
    new = http.AsyncClient if binding.backends else http.Client
    return {"http_client": new(transport=transport)}  # which has nothing to be closed


def test_mock_transport(http: Any, binding: Any, given: str) -> None:
    requests: list[Any] = []

    def answer(request: Any) -> Any:
        requests.append(request)
        if request.url.path.endswith("/stream"):
            return http.Response(200, headers={"Content-Type": "text/event-stream"}, content=events(*GOOD_EVENTS))
        if b'"input":"blocked"' in request.content:
            return http.Response(403, json={"trace_id": "t"})
        return http.Response(200, json=RUN)

    with binding(URL, **options(http, binding, given, http.MockTransport(answer))) as session:
        assert use(session) == ("r", GOOD_TYPES)
        with pytest.raises(GovernanceBlock) as caught:
            session.call("run", "blocked")
        assert caught.value.trace_id == "t"
    assert [each.url.path for each in requests] == ["/api/v1/run", "/api/v1/run/stream", "/api/v1/run"]
    assert {each.headers["Authorization"] for each in requests} == {f"Bearer {KEY}"}


async def run(request: Request) -> Response:
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    if (await request.json())["input"] == "blocked":
        return JSONResponse({"trace_id": "t"}, 403)
    return JSONResponse(RUN)


async def run_stream(request: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        for each in GOOD_EVENTS:
            yield event(each)

    assert (await request.json())["options"]["stream"] is True
    return StreamingResponse(body(), media_type="text/event-stream")


APPLICATION = Starlette(
    routes=[
        Route("/api/v1/run", run, methods=["POST"]),
        Route("/api/v1/run/stream", run_stream, methods=["POST"]),
    ]
)


@pytest.mark.parametrize("binding", [HttpxAsyncio, HttpxTrio], ids=lambda binding: binding.name)
def test_asgi_transport(http: Any, binding: Any, given: str) -> None:
    with binding(URL, **options(http, binding, given, http.ASGITransport(APPLICATION))) as session:
        assert use(session) == ("r", GOOD_TYPES)
        with pytest.raises(GovernanceBlock) as caught:
            session.call("run", "blocked")
        assert caught.value.trace_id == "t"
