"""Chats as streams: they decide, remember and end as a chat does that is answered whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import anyio
import pytest

from hestiaos import (
    AsyncClient,
    AsyncioClient,
    Client,
    GovernanceBlock,
    InvalidInput,
    LocalTransport,
    Platform,
    StreamEvent,
    TrioClient,
)
from hestiaos_local import Store
from hestiaos_local.execution import Work, function_executor, message_text
from tests.support.broad import LOOPS


class Model:
    """Says two words, and remembers what it was sent. With `fails` it breaks between them."""

    def __init__(self) -> None:
        self.fails = False
        self.sent: list[list[str]] = []

    def answer(self, work: Work) -> Iterator[str]:
        self.sent.append([message_text(each) for each in work.messages])
        yield "fine, "
        if self.fails:
            raise RuntimeError("the model broke")
        yield "thanks"


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def client(model: Model, store: Store) -> Iterator[Client]:
    ids = count(1)
    executor = function_executor(model.answer)
    with Platform(executor=executor, store=store, new_id=lambda: f"id-{next(ids)}") as platform:
        yield Client(transport=LocalTransport(platform), retries=0)


def told(events: Any) -> list[tuple[str, Any]]:
    return [(event.type, event.data.get("text", event.data.get("session_id"))) for event in events]


def test_it_begins_with_the_session_and_ends_with_the_response(client: Client) -> None:
    events: list[StreamEvent] = list(client.chat.stream("hello"))
    assert told(events) == [
        ("start", "id-2"),
        ("token", "fine, "),
        ("token", "thanks"),
        ("final", "id-2"),
        ("done", None),
    ]
    assert events[0].data["mode"] == "ALLOW"
    assert events[-2].data["response"] == "fine, thanks"
    assert {event.trace_id for event in events} == {"id-1"}
    assert client.trace("id-1").decision == "ALLOW"


def test_the_session_goes_on_both_ways(client: Client, model: Model) -> None:
    first = client.chat.run("one")
    streamed = list(client.chat.stream("two", first.session_id))
    assert streamed[0].data["session_id"] == first.session_id
    client.chat.run("three", first.session_id)
    assert model.sent[2] == ["one", "fine, thanks", "two", "fine, thanks", "three"]


def test_what_is_left_is_not_remembered(client: Client, model: Model, store: Store) -> None:
    with client.chat.stream("one") as stream:
        session_id = next(stream).data["session_id"]
        next(stream)
    list(client.chat.stream("two", session_id))
    assert model.sent[1] == ["two"]
    outcome = store.trace("id-1")
    assert outcome is not None
    assert outcome.outcome is not None
    assert outcome.outcome.status == "cancelled"


@pytest.mark.usefixtures("server_faults")
def test_what_fails_is_told_and_not_remembered(client: Client, model: Model, server_faults: list[str]) -> None:
    model.fails = True
    events = list(client.chat.stream("one", "s"))
    assert told(events)[2:] == [("error", None), ("done", None)]
    assert events[2].data["code"] == "INTERNAL_ERROR"
    model.fails = False
    list(client.chat.stream("two", "s"))
    assert model.sent[1] == ["two"]
    server_faults.clear()


def test_a_repeat_is_not_executed_again(client: Client, model: Model) -> None:
    first, second = (list(client.chat.stream("hello", idempotency_key="k")) for _ in range(2))
    assert len(model.sent) == 1
    assert told(second) == told(first)
    assert second[-2].data == first[-2].data


def test_what_refuses_it_comes_before_any_event(client: Client, model: Model) -> None:
    with pytest.raises(GovernanceBlock):
        list(client.chat.stream("rm -rf /"))
    with pytest.raises(InvalidInput, match="message must not be empty"):
        list(client.chat.stream(" "))
    assert model.sent == []


@pytest.mark.parametrize("backend", LOOPS)
def test_over_a_socket(backend: str, serve_platform: Callable[..., str]) -> None:
    with Client(serve_platform(backend=backend), retries=0) as client:
        events = list(client.chat.stream("hello"))
    assert [event.type for event in events] == ["start", "token", "token", "final", "done"]


@pytest.mark.parametrize(
    ("new", "backend"),
    [(AsyncClient, "asyncio"), (AsyncClient, "trio"), (AsyncioClient, "asyncio"), (TrioClient, "trio")],
)
def test_an_asynchronous_client(new: Any, backend: str, server_url: str) -> None:
    async def main() -> list[StreamEvent]:
        async with new(server_url, retries=0) as client:
            reply = await client.chat.run_async("hello")
            async with client.chat.stream("more", reply.session_id) as stream:
                return [event async for event in stream]

    events = anyio.run(main, backend=backend)
    assert [event.type for event in events] == ["start", "token", "token", "final", "done"]
    assert events[0].data["session_id"] == events[-2].data["session_id"]
