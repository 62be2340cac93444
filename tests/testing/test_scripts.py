"""What a scripted platform answers, to every kind of client, in-process and over a socket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import pytest

from hestiaos import (
    AsyncClient,
    AsyncioClient,
    Client,
    ConnectionLost,
    GovernanceBlock,
    HestiaError,
    RateLimited,
    StatusError,
    StreamEvent,
    StreamInterrupted,
    TrioClient,
)
from hestiaos_local.testing import ScriptedPlatform
from tests.support.expecting import within

T = TypeVar("T")


class Asker:
    """Asks a platform by one kind of client, and is read like a synchronous one."""

    def __init__(self, kind: Any, backend: str | None, arguments: dict[str, Any]) -> None:
        self._kind = kind
        self._backend = backend
        self._arguments = arguments

    def run(self, text: str, **options: Any) -> str:
        """The result of a run."""
        if self._backend is None:
            with self._kind(**self._arguments, **options) as client:
                return str(client.run(text).result)

        async def run(client: Any) -> str:
            return str((await client.run_async(text)).result)

        return self._ask(run, options)

    def stream(
        self, text: str, each: Callable[[StreamEvent], object] = lambda event: None, **options: Any
    ) -> tuple[list[StreamEvent], HestiaError | None]:
        """The events of a stream, and what it ended with."""
        events: list[StreamEvent] = []

        def see(event: StreamEvent) -> None:
            events.append(event)
            each(event)

        async def stream(client: Any) -> None:
            async with client.run_stream(text, **options) as opened:
                async for event in opened:
                    see(event)

        try:
            if self._backend is not None:
                self._ask(stream, {})
            else:
                with self._kind(**self._arguments) as client, client.run_stream(text, **options) as opened:
                    for event in opened:
                        see(event)
        except HestiaError as error:
            return events, error
        return events, None

    @property
    def blocks_its_loop(self) -> bool:
        """Whether it has an event loop, which waits for an in-process platform without doing anything else."""
        return self._kind in (AsyncioClient, TrioClient) and "transport" in self._arguments

    def _ask(self, function: Callable[[Any], Awaitable[T]], options: dict[str, Any]) -> T:
        async def main() -> T:
            async with self._kind(**self._arguments, **options) as client:
                return await function(client)

        assert self._backend is not None
        return anyio.run(main, backend=self._backend)


CLIENTS = {
    "Client": (Client, None),
    "AsyncClient-asyncio": (AsyncClient, "asyncio"),
    "AsyncClient-trio": (AsyncClient, "trio"),
    "AsyncioClient": (AsyncioClient, "asyncio"),
    "TrioClient": (TrioClient, "trio"),
}


@pytest.fixture(params=["in-process", "served"])
def place(request: pytest.FixtureRequest, platform: ScriptedPlatform) -> dict[str, Any]:
    """What tells a client where the platform is."""
    return {"transport": platform.transport} if request.param == "in-process" else {"base_url": platform.url}


@pytest.fixture(params=CLIENTS)
def asker(request: pytest.FixtureRequest, place: dict[str, Any]) -> Asker:
    """A client of every kind."""
    kind, backend = CLIENTS[request.param]
    return Asker(kind, backend, place)


def texts(events: list[StreamEvent]) -> list[str]:
    return [event.data["text"] for event in events if event.type == "token"]


def test_exactly_this_is_said(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.say("  exactly\n this ")
    assert asker.run("create a report") == "  exactly\n this "


def test_the_tokens_of_a_stream(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.say("one two three")
    platform.say("one ", "two three")
    assert texts(asker.stream("count")[0]) == ["one ", "two ", "three"]
    events, error = asker.stream("count")
    assert texts(events) == ["one ", "two three"]
    assert error is None
    assert events[-2].data["result"] == "one two three"


def test_a_block(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.block('no "mail"\nfrom tests', times=2)
    with pytest.raises(GovernanceBlock) as caught:
        asker.run("mail the report")
    assert caught.value.details["reason"] == 'no "mail"\nfrom tests'
    assert [request.operation for request in platform.requests] == ["run"]
    events, error = asker.stream("mail the report")
    assert isinstance(error, GovernanceBlock)
    assert events == []


def test_a_block_in_the_middle(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.block("too much", after="one two ")
    events, error = asker.stream("count")
    assert texts(events) == ["one ", "two "]
    assert events[-1].type == "done" or isinstance(error, HestiaError)
    assert "too much" in str([event.data for event in events if event.type == "error"] or error)


def test_429_twice_then_an_answer(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.fail(429, retry_after=0, times=2)
    platform.say("here it is")
    assert asker.run("create a report") == "here it is"
    assert len(platform.requests) == 3
    assert len({request.headers["idempotency-key"] for request in platform.requests}) == 1


def test_a_wait_that_is_too_long_for_the_client(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.fail(429, retry_after=120)
    with pytest.raises(RateLimited) as caught:
        asker.run("create a report")
    assert caught.value.retry_after == 120


def test_a_status(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.fail(418, "no coffee", code="TEAPOT", details={"pot": 1})
    with pytest.raises(StatusError, match="no coffee") as caught:
        asker.run("create a report")
    assert (caught.value.status_code, caught.value.code, caught.value.details) == (418, "TEAPOT", {"pot": 1})


def test_a_failure_in_the_middle(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.fail(503, "the model is gone", after="one two ")
    events, error = asker.stream("count")
    assert texts(events) == ["one ", "two "]
    assert "the model is gone" in str([event.data for event in events if event.type == "error"] or error)


def test_the_connection_is_cut_after_three_tokens(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.cut(after="one two three ")
    events, error = asker.stream("count")
    assert texts(events) == ["one ", "two ", "three "]
    assert isinstance(error, StreamInterrupted)
    assert error.events_received == 4


def test_the_connection_is_cut_before_the_response(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.cut(times=2)
    platform.say("still here")
    with pytest.raises(ConnectionLost):
        asker.run("create a report", retries=0)
    with pytest.raises(ConnectionLost):
        asker.run("create a report")  # it may have been executed: no client repeats it
    assert asker.run("create a report") == "still here"


def test_a_tool_call(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.call_tool("search", {"query": "hestia"}, after="Let me look. ")
    events, _ = asker.stream("who is hestia?")
    assert texts(events) == ["Let ", "me ", "look. "]
    [call] = [event.data for event in events if event.type == "tool_call"]
    assert (call["name"], call["arguments"]) == ("search", '{"query":"hestia"}')


def test_the_echo(platform: ScriptedPlatform, asker: Asker) -> None:
    platform.echo()
    assert asker.run("create a report") == "processed: create a report"
    assert texts(asker.stream("a b")[0]) == ["processed: ", "a ", "b"]


def test_a_reply_that_is_held(platform: ScriptedPlatform, asker: Asker) -> None:
    """What comes after the hold comes after the release, and by nothing else."""
    if asker.blocks_its_loop:
        pytest.skip("it asks for the transport's answers in its event loop")
    reply = platform.say("one two three", hold_after=2)
    seen: list[str] = []

    def each(event: StreamEvent) -> None:
        seen.append(event.type)
        if event.type == "token" and seen.count("token") == 2:
            assert not reply.released
            reply.release()

    assert asker.stream("count", each)[1] is None
    assert seen == ["start", "token", "token", "token", "final", "done"]


def test_a_reply_that_is_not_released(platform: ScriptedPlatform, asker: Asker) -> None:
    if asker.blocks_its_loop:
        pytest.skip("it asks for the transport's answers in its event loop")

    def wait(seconds: float) -> None:
        platform.say("one two three", hold_after=1)
        events, error = asker.stream("count", timeout_ms=int(1000 * seconds))
        assert texts(events) == ["one "]  # else it was late
        assert "TIMED_OUT" in str([event.data for event in events if event.type == "error"] or error)

    within(0.05, wait)
