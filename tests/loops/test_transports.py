"""`transport=`: requests that are answered in the process itself, and never leave it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field

from hestiaos import (
    ConnectionLost,
    GovernanceBlock,
    LocalProtocolError,
    LocalTransport,
    Platform,
    RemoteProtocolError,
    StatusError,
    StreamInterrupted,
    TimedOut,
)
from hestiaos_proto import Hooks, Request
from tests.support.loops import HEALTH, Binding
from tests.support.wire import GOOD_EVENTS, START, event

Reply = tuple[int, Iterable[tuple[str, str]], Iterable[bytes]]

JSON = [("Content-Type", "application/json")]
EVENTS = [("Content-Type", "text/event-stream")]
NOWHERE = "http://127.0.0.1:1"  # where nothing listens


@define
class Answering:
    """Answers with `replies`, one after another, and raises those that are exceptions."""

    replies: list[Reply | Exception]
    requests: list[Request] = field(factory=list)

    def exchange(self, request: Request) -> Reply:
        self.requests.append(request)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def test_the_embedded_platform(binding: Binding, platform: Platform) -> None:
    async def main() -> None:
        async with binding.client(NOWHERE, transport=LocalTransport(platform)) as client:
            run = await client.run_async("create a report")
            assert run.result == "processed: create a report"
            assert (await client.trace_async(run.trace_id)).decision == "ALLOW"
            await client.secrets.set_async("a/b?c#d", "value")
            assert await client.secrets.get_async("a/b?c#d") == "value"
            assert await client.governance.trace_async("unknown") is None
            with pytest.raises(GovernanceBlock):
                await client.run_async("rm -rf /")
            async with client.run_stream("a b") as stream:
                assert [each.type async for each in stream] == ["start", *["token"] * 3, "final", "done"]
            assert stream.text == "processed: a b"

    binding.run(main)


def test_many_streams_of_the_embedded_platform_take_turns(binding: Binding, platform: Platform) -> None:
    order: list[int] = []

    async def main() -> None:
        async with (
            binding.client(NOWHERE, transport=LocalTransport(platform)) as client,
            anyio.create_task_group() as tasks,
        ):

            async def read(number: int) -> None:
                async for _ in client.run_stream("a b c d e"):
                    order.append(number)

            for number in range(3):
                tasks.start_soon(read, number)

    binding.run(main)
    assert len(order) == 3 * 9
    assert {*order[:6]} == {0, 1, 2}


def test_requests_and_responses_of_a_transport(binding: Binding) -> None:
    transport = Answering(
        [
            (200, JSON, [HEALTH]),
            (200, iter(JSON), iter([HEALTH[:10], b"", HEALTH[10:]])),
            (503, [("Retry-After", "0")], []),
            ConnectionLost("made up"),
            (200, JSON, [HEALTH]),
            (404, JSON, [b'{"error": "none", "code": "NOT_FOUND", "message": "none", "trace_id": "t"}']),
            (200, JSON, [b"no json"]),
            (200, [("X-Ключ", "1")], [HEALTH]),
        ]
    )

    async def main() -> None:
        async with binding.client("https://host/base", api_key="key", transport=transport) as client:
            for _ in range(3):
                assert (await client.health_async()).status == "ok"
            with pytest.raises(StatusError, match="none"):
                await client.health_async()
            with pytest.raises(RemoteProtocolError):
                await client.health_async()
            with pytest.raises(RemoteProtocolError, match="header"):
                await client.health_async()

    binding.run(main)
    assert not transport.replies
    first = transport.requests[0]
    assert (first.method, first.url, first.body) == ("GET", "https://host/base/api/v1/health", b"")
    assert first.headers["Authorization"] == "Bearer key"


def test_an_exception_of_the_transport_is_raised_by_the_call(binding: Binding) -> None:
    async def main() -> None:
        async with binding.client(transport=Answering([ZeroDivisionError("of the test's own")] * 2)) as client:
            with pytest.raises(ZeroDivisionError):
                await client.health_async()
            with pytest.raises(ZeroDivisionError):
                await anext(client.run_stream("a"))

    binding.run(main)


def test_streams(binding: Binding) -> None:
    def lost() -> Iterator[bytes]:
        yield event(START)
        raise ConnectionLost("made up")

    transport = Answering(
        [
            (200, EVENTS, map(event, GOOD_EVENTS)),
            (200, EVENTS, lost()),
            (200, EVENTS, [event(START)]),
            (403, JSON, []),
        ]
    )

    async def main() -> None:
        async with binding.client(transport=transport) as client:
            assert [each.type async for each in client.run_stream("a")] == ["start", "token", "final", "done"]
            for _ in range(2):
                stream = client.run_stream("a")
                assert (await anext(stream)).type == "start"
                with pytest.raises(StreamInterrupted):
                    await anext(stream)
            with pytest.raises(GovernanceBlock):
                await anext(client.run_stream("a"))

    binding.run(main)


@pytest.mark.parametrize("how", ["aclose", "drop", "cancel", "close the client"])
def test_a_stream_that_is_left_ends_its_body(binding: Binding, how: str) -> None:
    ended = anyio.Event()

    def body() -> Iterator[bytes]:
        try:
            yield event(START)
            while True:
                yield b": heartbeat\n\n"
        finally:
            ended.set()

    async def main() -> None:
        async with binding.client(transport=Answering([(200, EVENTS, body())]), max_connections=1) as client:
            stream = client.run_stream("a")
            assert (await anext(stream)).type == "start"
            if how == "aclose":
                await stream.aclose()
            elif how == "drop":
                del stream
            elif how == "cancel":
                with anyio.move_on_after(0.05):
                    await anext(stream)
            else:
                await client.aclose()
            with anyio.fail_after(5):
                await ended.wait()

    binding.run(main)


def test_a_deadline_holds_for_an_endless_body(binding: Binding) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b" "

    async def main() -> None:
        async with binding.client(transport=Answering([(200, JSON, endless())]), deadline=0.1, retries=0) as client:
            with pytest.raises(TimedOut, match=r"0\.1 s"):
                await client.health_async()

    binding.run(main)


def test_hooks_and_options_are_as_over_a_network(binding: Binding, platform: Platform) -> None:
    heard: list[str] = []
    hooks = Hooks(
        on_request=lambda call, request: heard.append(f"{call.operation} {request.method}"),
        on_response=lambda call, response: heard.append(f"{response.status}"),
        on_stream_event=lambda call, event: heard.append(event.type),
        on_call_end=lambda call, error: heard.append(f"end {error}"),
    )

    async def main() -> None:
        async with binding.client(transport=LocalTransport(platform), hooks=hooks) as client:
            await client.health_async()
            [_ async for _ in client.run_stream("a", headers={"X-Test": "1"}, retries=0)]

    binding.run(main)
    assert heard[:3] == ["health GET", "200", "end None"]
    assert heard[3:] == ["run_stream POST", "200", "start", "token", "token", "final", "done", "end None"]


@pytest.mark.parametrize(
    "wrong", [httpx.MockTransport(lambda request: httpx.Response(200)), "http://proxy", print, LocalTransport, 7]
)
def test_a_transport_of_the_wrong_kind(binding: Binding, wrong: Any) -> None:
    with pytest.raises(TypeError, match="transport must"):
        binding.client(NOWHERE, transport=wrong)


def test_a_platform_is_not_a_transport(binding: Binding, platform: Platform) -> None:
    with pytest.raises(TypeError, match="LocalTransport"):
        binding.client(NOWHERE, transport=platform)


def test_a_transport_and_a_unix_socket_exclude_each_other(binding: Binding, platform: Platform) -> None:
    with pytest.raises(ValueError, match="exclude each other"):
        binding.client(transport=LocalTransport(platform), uds="/tmp/socket")


def test_a_closed_client_does_not_use_its_transport(binding: Binding) -> None:
    async def main() -> None:
        client = binding.client(transport=Answering([]))
        await client.aclose()
        with pytest.raises(LocalProtocolError, match="closed"):
            await client.health_async()

    binding.run(main)
