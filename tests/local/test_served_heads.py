"""When the head of a streamed completion is sent: with its first output, or with the first heartbeat before that."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from hestiaos_local import Platform, Policy
from hestiaos_local.execution import RelayExecutor
from tests.local.test_server_models import COMPLETIONS, END, ROLE, completion, payload, piece, text
from tests.support import wire
from tests.support.peer import Peer
from tests.support.policies import BLOCK, SECRET, policy
from tests.support.raw_client import RawClient, post
from tests.support.steps import Connection, Script, send

HELD = policy(BLOCK + 'hold = "all"')
COMMENT = b": heartbeat\n\n"
ASK = post(COMPLETIONS, completion(stream=True))
SHORT, LONG = 0.05, 15.0  # seconds between heartbeats

Serve = Callable[..., str]


@pytest.fixture
def go_on() -> threading.Event:
    """What the model server waits for after the first thing that it does."""
    return threading.Event()


@pytest.fixture
def serve(start: Callable[..., str], go_on: threading.Event) -> Iterator[Serve]:
    """A served platform before a model server that does `first`, waits, and does the rest."""
    with ExitStack() as stack:

        def begin(first: bytes, rest: bytes, *, policy: Policy | None = None, heartbeat: float = SHORT) -> str:
            def wait(connection: Connection) -> None:
                connection.wait_for(go_on)

            script: Script = [send(first), wait, send(rest)]
            model = stack.enter_context(Peer(answer=lambda request: script))
            relay = RelayExecutor(f"{model.url}/v1", model="tiny")
            return start(platform=stack.enter_context(Platform(policy=policy, executor=relay)), heartbeat=heartbeat)

        yield begin


def held(client: RawClient) -> dict[str, str]:
    """The head of a response whose first output waits: comments follow."""
    client.send(ASK)
    status, headers = client.head()
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert client.event() == client.event() == COMMENT
    return headers


def said(events: list[bytes]) -> list[Any]:
    """What events say, without comments."""
    return [payload(event) for event in events if event != COMMENT and b"[DONE]" not in event]


def test_while_a_text_is_held_back(serve: Serve, go_on: threading.Event) -> None:
    url = serve(wire.STREAM_HEAD + piece(ROLE) + text("Hel"), text("lo") + END, policy=HELD)
    with RawClient(url) as client:
        headers = held(client)
        go_on.set()
        *events, done = client.events()
    role, *_ = pieces = said(events)
    assert role["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert role["id"] == f"chatcmpl-{headers['x-hestia-trace-id']}"
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in pieces) == "Hello"
    assert done == b"data: [DONE]\n\n"


def test_a_block_after_it_ends_the_stream(serve: Serve, go_on: threading.Event) -> None:
    url = serve(wire.STREAM_HEAD + piece(ROLE) + text("the "), text(SECRET) + END, policy=HELD)
    with RawClient(url) as client:
        headers = held(client)
        go_on.set()
        *events, done = client.events()
    filtered, failed = said(events)
    assert filtered["choices"][0]["finish_reason"] == "content_filter"
    assert (failed["error"]["code"], failed["error"]["trace_id"]) == ("governance_block", headers["x-hestia-trace-id"])
    assert done == b"data: [DONE]\n\n"


def test_while_a_model_is_loaded_that_then_fails(serve: Serve, go_on: threading.Event) -> None:
    with RawClient(serve(b"", wire.response(503, b"{}"))) as client:
        held(client)
        go_on.set()
        *events, _ = client.events()
    [failed] = said(events)
    assert failed["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    ("rest", "status"),
    [(wire.response(503, b"{}"), 503), (wire.response(429, b"{}"), 429), (wire.STREAM_HEAD + text(SECRET) + END, 403)],
)
def test_what_fails_before_has_a_status_of_its_own(
    serve: Serve, go_on: threading.Event, rest: bytes, status: int
) -> None:
    go_on.set()
    with RawClient(serve(b"", rest, policy=HELD, heartbeat=LONG)) as client:
        for _ in range(2):  # the connection is kept
            client.send(ASK)
            answered, headers = client.head()
            assert (answered, headers["content-type"]) == (status, "application/json")
            assert json.loads(client.file.read(int(headers["content-length"])))["error"]["trace_id"]


@pytest.mark.own_server("other servers say themselves when a client has gone")
def test_a_client_that_goes_in_the_meantime_is_noticed_soon(start: Callable[..., str], go_on: threading.Event) -> None:
    def wait(connection: Connection) -> None:
        connection.wait_for(go_on)

    script: Script = [send(wire.STREAM_HEAD + piece(ROLE) + text("a")), wait]
    with Peer(answer=lambda request: script) as model, Platform(executor=RelayExecutor(f"{model.url}/v1")) as platform:
        with RawClient(start(platform=platform, heartbeat=LONG)) as client:
            client.send(post(COMPLETIONS, completion(stream=True)))
            assert client.head()[0] == 200
            client.event()
        model.wait_until_left(1)
