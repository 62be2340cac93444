"""Executions by executors of the user's own, in-process: what they are asked, and what becomes of them."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from hestiaos import AsyncClient
from hestiaos_local import LocalExchange, LocalTransport, Platform, Store
from hestiaos_local.execution import (
    Agent,
    Executor,
    Finish,
    Text,
    ToolCall,
    Usage,
    Work,
    function_executor,
    message_text,
)
from hestiaos_local.storage import Claimed, Outcome
from hestiaos_proto import GovernanceBlock, NotFound, Request, ServerError, parse_request
from tests.support.broad import LOOPS

RUN = "/api/v1/run"
STREAM = "/api/v1/run/stream"


def ask(platform: Platform, path: str, key: str | None = None, **body: Any) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return platform.respond(parse_request("POST", path, headers, json.dumps(body).encode()))


def outcome(store: Store, number: int = 1) -> Outcome | None:
    trace = store.trace(f"id-{number}")
    assert trace is not None
    return trace.outcome


class Recorder:
    """Makes executors that remember their works."""

    def __init__(self, *outputs: Any) -> None:
        self.works: list[Work] = []
        self.executor: Executor = function_executor(self._answer)
        self._outputs = outputs or ("fine",)

    def _answer(self, work: Work) -> Iterator[Any]:
        self.works.append(work)
        yield from self._outputs

    @property
    def texts(self) -> list[list[tuple[str, str]]]:
        return [[(str(each["role"]), message_text(each)) for each in work.messages] for work in self.works]


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(Store()) as store:
        yield store


@pytest.fixture
def make(store: Store) -> Callable[..., Platform]:
    """A platform that counts its ids."""

    def new(executor: Executor, **options: Any) -> Platform:
        ids = iter(range(1, 1000))
        return Platform(executor=executor, store=store, new_id=lambda: f"id-{next(ids)}", **options)

    return new


def test_a_run_is_what_the_executor_gives(make: Callable[..., Platform], store: Store) -> None:
    recorder = Recorder("Hel", "lo", Usage(3, 2))
    response = ask(make(recorder.executor), RUN, input="hi", options={"timeout_ms": 1500})
    assert (response.result, response.output, response.mode) == ("Hello", "Hello", "ALLOW")
    [work] = recorder.works
    assert recorder.texts == [[("user", "hi")]]
    assert (work.timeout, work.trace_id) == (1.5, response.trace_id)
    ended = outcome(store)
    assert ended is not None
    assert (ended.status, ended.input_tokens, ended.output_tokens) == ("completed", 3, 2)


def test_start_comes_before_the_work_and_each_output_as_it_is_made(make: Callable[..., Platform]) -> None:
    made: list[str] = []

    def work(work: Work) -> Iterator[Any]:
        for each in (Text("a"), ToolCall("c", "look", "{}"), Text("b")):
            made.append(type(each).__name__)
            yield each

    events = ask(make(function_executor(work)), STREAM, input="hi")
    assert next(events).type == "start"
    assert made == []
    assert (next(events).data, made) == ({"text": "a", "index": 0}, ["Text"])
    assert (next(events).data, made) == ({"id": "c", "name": "look", "arguments": "{}"}, ["Text", "ToolCall"])
    token, final, done = events
    assert (token.data, final.data["result"], done.type) == ({"text": "b", "index": 1}, "ab", "done")


@pytest.mark.parametrize("count", [1, 2])
def test_a_stream_that_is_left_is_cancelled(make: Callable[..., Platform], store: Store, count: int) -> None:
    """Before the work begins, and in the midst of it; its key is free again."""
    ended = threading.Event()

    def work(work: Work) -> Iterator[str]:
        try:
            while True:
                yield "on and on "
        finally:
            ended.set()

    events = ask(make(function_executor(work)), STREAM, "k", input="hi")
    assert isinstance(events, Generator)
    for _ in range(count):
        next(events)
    events.close()
    assert ended.is_set() == (count > 1)
    left = outcome(store)
    assert left is not None
    assert left.status == "cancelled"
    assert isinstance(store.claim("k", "other", now=0.0, lease=1.0), Claimed)


def test_what_fails_is_in_the_trace(make: Callable[..., Platform], store: Store, server_faults: list[str]) -> None:
    def refuse(work: Work) -> Iterator[str]:
        yield "half"
        raise ServerError("no model", status_code=503, code="MODEL_UNREACHABLE")

    platform = make(function_executor(refuse))
    error = ask(platform, RUN, input="hi")
    assert isinstance(error, ServerError)
    assert (error.status_code, error.code, error.trace_id) == (503, "MODEL_UNREACHABLE", "id-1")
    assert (failed := outcome(store)) is not None
    assert (failed.status, failed.error) == ("failed", "MODEL_UNREACHABLE")
    *_, told, done = ask(platform, STREAM, input="hi")
    assert (told.type, told.data["code"], told.data["trace_id"], done.type) == (
        "error",
        "MODEL_UNREACHABLE",
        "id-2",
        "done",
    )


def test_the_timeout_of_a_request_bounds_its_execution(store: Store) -> None:
    async def wait(work: Work) -> AsyncIterator[str]:
        yield "begun"
        await anyio.sleep_forever()

    with Platform(executor=function_executor(wait), store=store) as platform:
        error = ask(platform, RUN, input="hi", options={"timeout_ms": 20})
    assert isinstance(error, ServerError)
    assert (error.status_code, error.code) == (504, "TIMED_OUT")


def test_a_block_is_not_executed(make: Callable[..., Platform], store: Store) -> None:
    recorder = Recorder()
    platform = make(recorder.executor)
    for path in (RUN, STREAM):
        assert isinstance(ask(platform, path, input="rm -rf /"), GovernanceBlock)
    assert recorder.works == []
    assert (blocked := outcome(store)) is not None
    assert blocked.status == "blocked"


def test_a_chat_is_sent_its_history(make: Callable[..., Platform]) -> None:
    recorder = Recorder()
    platform = make(recorder.executor)
    for message in ("one", "two"):
        assert ask(platform, "/api/chat", message=message, session_id="s").result == "fine"
    assert recorder.texts[1] == [("user", "one"), ("assistant", "fine"), ("user", "two")]
    ask(platform, "/api/chat", message="x" * 40_000, session_id="s")
    assert len(recorder.texts[2]) == 1  # the window is full


def test_agents_of_a_configuration(make: Callable[..., Platform]) -> None:
    agent = Agent(id="a", system="Be brief.", model="small", max_tokens=5, timeout=3.0)
    recorder = Recorder()
    platform = make(recorder.executor, agents={"a": agent})
    for path, body in (
        ("/api/agents/run", {"agent_id": "a", "task": "t"}),
        (RUN, {"input": "t", "context": {"agent_id": "a"}}),
    ):
        ask(platform, path, **body)
    assert recorder.texts == [[("system", "Be brief."), ("user", "t")]] * 2
    assert [(work.model, work.max_tokens, work.timeout) for work in recorder.works] == [("small", 5, 3.0)] * 2
    for path, body in (
        ("/api/agents/run", {"agent_id": "b", "task": "t"}),
        (RUN, {"input": "t", "context": {"agent_id": "b"}}),
    ):
        error = ask(platform, path, **body)
        assert isinstance(error, NotFound)
        assert error.message == "there is no agent 'b'; known agents: a"
    assert len(recorder.works) == 2


def test_an_agent_may_not_call_another_tool(make: Callable[..., Platform], store: Store) -> None:
    recorder = Recorder(ToolCall("c", "shell", "{}"))
    platform = make(recorder.executor, agents={"a": Agent(id="a", tools=frozenset(["search"]))})
    result = ask(platform, "/api/agents/run", agent_id="a", task="t")
    assert (result.status, result.error) == ("BLOCKED", "the agent 'a' may not call the tool 'shell'")
    assert result.extra == {"rule": "agent-tools", "reason": result.error, "risk_score": 1.0, "policy": "default"}
    assert (blocked := outcome(store)) is not None
    assert blocked.status == "blocked"


def test_a_repeated_stream_is_not_executed_again(make: Callable[..., Platform], store: Store) -> None:
    recorder = Recorder("a b", Finish("length"))
    platform = make(recorder.executor)
    first, second = (list(ask(platform, STREAM, "k", input="hi")) for _ in range(2))
    assert [event.type for event in second] == ["start", "token", "final", "done"]
    assert second[-2].data == first[-2].data
    assert len(recorder.works) == 1
    assert store.decisions() == {"ALLOW": 1}


@pytest.mark.parametrize("backend", LOOPS)
class TestInEventLoops:
    """Through the in-process transport."""

    def test_a_result_and_a_stream(self, backend: str, tmp_path: Path) -> None:
        async def answer(work: Work) -> AsyncIterator[str]:
            yield "a"
            await anyio.lowlevel.checkpoint()
            yield "b"

        async def main() -> list[httpx.Response]:
            async with httpx.AsyncClient(transport=LocalTransport(platform), base_url="http://p") as client:
                return [await client.post(path, json={"input": "x"}) for path in (RUN, STREAM)]

        with Platform(executor=function_executor(answer), store=Store(tmp_path / "store.db")) as platform:
            run, stream = anyio.run(main, backend=backend)
        assert run.json()["result"] == "ab"
        assert stream.headers["content-type"] == "text/event-stream"
        assert [json.loads(line[6:])["type"] for line in stream.text.split("\n\n")[:-1]] == [
            "start",
            "token",
            "token",
            "final",
            "done",
        ]

    # httpx iterates over a transport's stream by a generator that it does not close.
    @pytest.mark.filterwarnings("ignore:Async generator 'httpx._client.BoundAsyncStream:ResourceWarning")
    @pytest.mark.parametrize("how", ["left", "cancelled"])
    def test_a_stream_that_is_given_up_is_cancelled(self, backend: str, tmp_path: Path, how: str) -> None:
        ended: list[bool] = []

        async def answer(work: Work) -> AsyncIterator[str]:
            try:
                yield "a"
                await anyio.sleep_forever()
            finally:
                ended.append(True)

        async def main() -> None:
            async with AsyncClient(transport=LocalTransport(platform)) as client:
                with anyio.CancelScope() as scope:
                    async with client.run_stream("x") as stream:
                        async for event in stream:
                            if event.type == "token":
                                if how == "left":
                                    break
                                scope.deadline = anyio.current_time()

        store = Store(tmp_path / "store.db")
        with Platform(executor=function_executor(answer), store=store, new_id=lambda: "id-1") as platform:
            anyio.run(main, backend=backend)
            assert ended == [True]
            assert (left := outcome(store)) is not None
            assert left.status == "cancelled"


def test_a_stream_that_outlives_its_platform_is_cancelled(server_faults: list[str]) -> None:
    """Only its outcome cannot be stored any more."""
    with Platform() as platform:
        events = ask(platform, STREAM, "k", input="hi")
        assert next(events).type == "start"
    events.close()
    assert ["the store in memory is closed" in fault for fault in server_faults] == [True] * 2
    server_faults.clear()


def test_the_body_of_an_exchange_is_closed_at_once(make: Callable[..., Platform], store: Store) -> None:
    exchange = LocalExchange(make(Recorder("a", "b").executor))
    request = Request("POST", "http://p", STREAM, {"Content-Type": "application/json"}, b'{"input": "hi"}')
    _, _, body = exchange.exchange(request)
    assert isinstance(body, Generator)
    assert b'"start"' in next(body)
    body.close()
    assert (left := outcome(store)) is not None
    assert left.status == "cancelled"
