"""One execution for one Idempotency-Key: nothing is held while it works, and what fails leaves the key free."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import CancelScope

from hestiaos_local import Platform, Retention, Store
from hestiaos_local.execution import Work, function_executor
from hestiaos_local.flow import Emit, Flow, drive_sync, in_thread
from hestiaos_local.operations import TIMEOUT, fingerprint, idempotent
from hestiaos_local.storage import Conflict, Finished, InProgress, StoreError
from hestiaos_proto import InvalidInput, RunResponse, ServerError, ServerRequest, StatusError, parse_request
from tests.support.broad import LOOPS

RESULT = RunResponse("r", "t", None, "ALLOW", 1.0, 0.5)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    path = tmp_path / "store.db" if request.param == "sqlite" else None
    with closing(Store(path, busy_timeout=0.0)) as store:
        yield store


@pytest.fixture
def file_store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store.db", busy_timeout=0.0)) as store:
        yield store


def once(store: Store, work: Callable[[], Any], key: str = "k", now: float = 100.0) -> object:
    def flow() -> Flow[Any]:
        return work()
        yield  # it waits for nothing

    def whole() -> Flow[None]:
        once = idempotent(store, key, "f", RunResponse, flow(), lambda: now, 60.0, lambda result: result)
        yield Emit((yield from once))

    [result] = drive_sync(whole())
    return result


def request(path: str, body: dict[str, Any], key: str | None = "k") -> ServerRequest:
    headers = {} if key is None else {"idempotency-key": key}
    return parse_request("POST", path, headers, json.dumps(body).encode())


def test_nothing_is_held_while_it_works(tmp_path: Path) -> None:
    """Other keys, other calls and other processes on the same file go on."""
    with closing(Store(tmp_path / "a.db")) as store, closing(Store(tmp_path / "a.db", busy_timeout=0.0)) as other:

        def work() -> RunResponse:
            for each in (store, other):
                assert each.works()
                each.set_secret("k", "v", "custom")
                assert once(each, lambda: RESULT, key=each.kind) == RESULT
            return RESULT

        assert once(store, work) == RESULT
        assert isinstance(other.claim("k", "f", now=100.0, lease=1.0), Finished)


@pytest.mark.parametrize(
    ("path", "body", "timeout"),
    [
        ("/api/v1/run", {"input": "x", "options": {"timeout_ms": 1_500_000}}, 1500.0),
        ("/api/v1/run/stream", {"input": "x", "options": {"timeout_ms": 20}}, 0.02),
        ("/api/chat", {"message": "x", "session_id": "s"}, TIMEOUT),
        ("/api/agents/run", {"agent_id": "a", "task": "x"}, TIMEOUT),
    ],
)
def test_a_lease_is_longer_than_the_timeout(store: Store, path: str, body: dict[str, Any], timeout: float) -> None:
    """No other caller can claim the key for as long as the execution may take; a crashed one is free a minute later."""
    worked: list[float | None] = []

    def work(work: Work) -> str:
        worked.append(work.timeout)
        assert store.claim("k", "other", now=100.0 + timeout + 59.0, lease=1.0) == Conflict()
        assert store.claim("k", "other", now=100.0 + timeout + 61.0, lease=1.0) != Conflict()
        return "done"

    result = Platform(store=store, executor=function_executor(work), clock=lambda: 100.0).respond(request(path, body))
    assert not isinstance(result, Exception)
    if path.endswith("stream"):
        assert isinstance(result, Generator)
        assert [event.type for event in result][-2:] == ["final", "done"]
    assert worked == [timeout]


def test_a_repeat_while_the_first_is_under_way(store: Store) -> None:
    def work() -> RunResponse:
        with pytest.raises(StatusError) as caught:
            once(store, lambda: RESULT, now=105.0)
        error = caught.value
        assert (error.status_code, error.code, error.retry_after) == (409, "IN_PROGRESS", 5.0)
        return RESULT

    assert once(store, work) == RESULT
    assert once(store, pytest.fail) == RESULT


def test_work_that_fails_leaves_the_key_free(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        once(store, lambda: 1 // 0)
    assert once(store, lambda: RESULT) == RESULT


def test_a_result_that_cannot_be_stored_is_given_all_the_same(file_store: Store, server_faults: list[str]) -> None:
    with closing(sqlite3.connect(file_store._database.name, isolation_level=None)) as other:

        def work() -> RunResponse:
            other.execute("BEGIN IMMEDIATE")
            return RESULT

        assert once(file_store, work) == RESULT
    assert "is locked by another program" in server_faults.pop()
    assert isinstance(file_store.claim("k", "f", now=100.0, lease=1.0), InProgress)


def test_a_fingerprint_does_not_depend_on_the_order_of_keys() -> None:
    first = {"a": 1, "b": [{"c": "x", "d": None}, 2]}
    second = {"b": [{"d": None, "c": "x"}, 2], "a": 1}
    assert fingerprint("run", first) == fingerprint("run", second)
    others: list[tuple[str, dict[str, Any]]] = [
        ("chat", first),
        ("run", {"a": 1, "b": [2, {"c": "x", "d": None}]}),
        ("run", {"a": "1", "b": first["b"]}),
        ("run", {"a": 1}),
    ]
    assert len({fingerprint("run", first), *(fingerprint(*other) for other in others)}) == 5


def test_the_same_request_with_its_keys_in_another_order_is_a_repeat(platform: Platform) -> None:
    first, second = (
        platform.answer(request("/api/agents/run", {"agent_id": "a", "task": "t", "config": config}))
        for config in ({"x": 1, "y": {"v": 1, "w": 2}}, {"y": {"w": 2, "v": 1}, "x": 1})
    )
    assert first == second


def test_the_request_of_another_api_key_is_not_a_repeat(platform: Platform) -> None:
    call = request("/api/v1/run", {"input": "x"})
    first, second, other = (platform.respond(call, key=key) for key in ("a", "a", "b"))
    assert isinstance(first, RunResponse)
    assert first == second
    assert isinstance(other, InvalidInput)


def test_an_execution_that_cannot_be_stored_is_not_executed(file_store: Store) -> None:
    """The client may repeat it as soon as the store works again, with the same key."""
    with Platform(store=file_store) as platform:
        run = request("/api/v1/run", {"input": "x"})
        with closing(sqlite3.connect(file_store._database.name, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            error = platform.respond(run)
            assert isinstance(error, StoreError)
            assert error.retry_after == 1.0
        assert isinstance(platform.respond(run), RunResponse)
        assert file_store.decisions() == {"ALLOW": 1}


class Failing(Store):
    """Another program locks its file at the beginning of one kind of call."""

    def __init__(self, path: Path, locked_at: str) -> None:
        super().__init__(path, busy_timeout=0.0)
        self.other = sqlite3.connect(path, isolation_level=None)
        self._locked_at = locked_at

    def __getattribute__(self, name: str) -> Any:
        if name == object.__getattribute__(self, "__dict__").get("_locked_at"):
            del self._locked_at
            self.other.execute("BEGIN IMMEDIATE")
        return super().__getattribute__(name)


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Callable[[str], Failing]]:
    made: list[Failing] = []

    def make(locked_at: str) -> Failing:
        made.append(Failing(tmp_path / "store.db", locked_at))
        return made[-1]

    yield make
    for store in made:
        store.other.close()
        store.close()


def test_a_trace_that_cannot_be_stored_stops_the_execution(
    failing: Callable[[str], Failing], server_faults: list[str]
) -> None:
    store = failing("add_trace")
    with Platform(store=store) as platform:
        assert isinstance(platform.respond(request("/api/v1/run", {"input": "x"})), StoreError)
        store.other.execute("ROLLBACK")
        assert store.decisions() == {}
    assert "gets no result for up to 90 s" in server_faults.pop()  # the claim could not be given up either


def test_an_outcome_that_cannot_be_stored_costs_no_result(
    failing: Callable[[str], Failing], server_faults: list[str]
) -> None:
    store = failing("finish_trace")
    with Platform(store=store) as platform:
        response = platform.respond(request("/api/v1/run", {"input": "x"}, key=None))
        assert isinstance(response, RunResponse)
        store.other.execute("ROLLBACK")
        trace = store.trace(response.trace_id)
        assert trace is not None
        assert trace.outcome is None
    assert "could not be stored in its trace" in server_faults.pop()


def test_a_chat_whose_session_cannot_be_stored_is_not_repeated(
    failing: Callable[[str], Failing], server_faults: list[str]
) -> None:
    """It was executed: 503 would have a client send it again."""
    store = failing("add_messages")
    with Platform(store=store) as platform:
        error = platform.respond(request("/api/chat", {"message": "x", "session_id": "s"}, key=None))
        assert isinstance(error, ServerError)
        assert (error.status_code, error.message) == (500, "executed, but not stored")
        store.other.execute("ROLLBACK")
        assert error.trace_id is not None
        assert store.trace(error.trace_id) is not None
    assert [
        "executed, but not stored" in fault or "could not be stored in its trace" in fault for fault in server_faults
    ] == [True] * 2
    server_faults.clear()


def test_a_platform_keeps_to_its_retention(store: Store) -> None:
    times = count(1)
    with Platform(store=store, retention=Retention(max_count=10), clock=lambda: next(times)) as platform:
        for number in range(250):
            platform.answer(request("/api/chat", {"message": "x", "session_id": f"s{number}"}, key=None))
        assert len(store.sessions(limit=1000)) == 10 + 50
        assert sum(store.decisions(newest=1000).values()) == 10 + 50
        assert store.decisions() == {"ALLOW": 250}


@pytest.mark.parametrize(
    ("path", "body"),
    [("/api/v1/run", {"input": "tango"}), ("/api/agents/run", {"agent_id": "a", "task": "tango"})],
)
def test_where_no_texts_are_kept_a_repeat_learns_that_it_was_executed(
    path: str, body: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "store.db"
    with Platform(store=Store(file), keep="hash") as platform:
        first = platform.answer(request(path, body))
        with pytest.raises(StatusError, match="was executed") as caught:
            platform.answer(request(path, body))
        assert (caught.value.status_code, caught.value.code) == (409, "RESULT_NOT_KEPT")
        assert (caught.value.trace_id, caught.value.retry_after) == (first.trace_id, None)
    for each in tmp_path.iterdir():
        assert b"tango" not in each.read_bytes()


@pytest.mark.parametrize("path", ["/api/v1/run", "/api/v1/run/stream"])
@pytest.mark.parametrize("backend", LOOPS)
def test_a_caller_that_goes_as_the_work_ends(file_store: Store, path: str, backend: str) -> None:
    """The work is done, and its result is kept: a repeat executes nothing."""
    works = []

    async def main() -> None:
        with CancelScope() as scope:

            async def execute(work: Work) -> AsyncIterator[str]:
                works.append(work)
                yield "done"
                scope.cancel()

            platform = Platform(executor=function_executor(execute), store=file_store)
            first = await platform.respond_async(request(path, {"input": "x"}), in_thread)
            if not isinstance(first, RunResponse):
                async with aclosing(first) as events:
                    [_ async for _ in events]
            raise AssertionError("it was cancelled")
        with CancelScope(shield=True):
            again = await platform.respond_async(request(path, {"input": "x"}), in_thread)
            result = again if isinstance(again, RunResponse) else [event async for event in again][-2]
        assert (result if isinstance(result, RunResponse) else RunResponse.from_wire(result.data)).result == "done"
        trace = file_store.trace(works[0].trace_id)
        assert trace is not None
        assert trace.outcome is not None
        assert trace.outcome.status == "completed"

    anyio.run(main, backend=backend)
    assert len(works) == 1
