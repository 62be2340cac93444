"""`transport=`: requests that are answered in the process itself, and never leave it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
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
from hestiaos_local.execution import Work, function_executor
from hestiaos_proto import Hooks, Request
from tests.support.expecting import within
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
            with anyio.fail_after(30):
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
    notes: list[str] = []
    hooks = Hooks(
        on_request=lambda call, request: notes.append(f"{call.operation} {request.method}"),
        on_response=lambda call, response: notes.append(f"{response.status}"),
        on_stream_event=lambda call, event: notes.append(event.type),
        on_call_end=lambda call, error: notes.append(f"end {error}"),
    )

    async def main() -> None:
        async with binding.client(transport=LocalTransport(platform), hooks=hooks) as client:
            await client.health_async()
            [_ async for _ in client.run_stream("a", headers={"X-Test": "1"}, retries=0)]

    binding.run(main)
    assert notes[:3] == ["health GET", "200", "end None"]
    assert notes[3:] == ["run_stream POST", "200", "start", "token", "token", "final", "done", "end None"]


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


Awaited = tuple[int, Iterable[tuple[str, str]], Iterable[bytes] | AsyncIterator[bytes]]


@define
class Awaiting:
    """Answers as `Answering`, after a turn of the event loop; where there is no reply left, never."""

    replies: list[Awaited | Exception]
    asked: anyio.Event = field(factory=anyio.Event)
    cancelled: int = 0

    async def exchange_async(self, request: Request) -> Awaited:
        self.asked.set()
        if not self.replies:
            try:
                await anyio.sleep_forever()
            finally:
                self.cancelled += 1
        await anyio.lowlevel.checkpoint()
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


class Waiting:
    """An asynchronous body: a beginning, and nothing more until it is ended. It tells how it ended."""

    def __init__(self, beginning: bytes = event(START)) -> None:
        self.errors: list[str] = []
        self.reached = anyio.Event()
        self.ended = anyio.Event()
        self._beginning = beginning

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            yield self._beginning
            self.reached.set()
            await anyio.sleep_forever()
        except BaseException as error:
            self.errors.append(type(error).__name__)
            raise
        finally:
            self.ended.set()


class TestAwaited:
    """A transport that waits does not hold up other tasks."""

    def test_what_it_is_asked_and_may_answer(self, binding: Binding) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in (HEALTH[:10], b"", HEALTH[10:]):
                await anyio.lowlevel.checkpoint()
                yield piece

        replies = [(200, JSON, pieces()), (503, [("Retry-After", "0")], []), ConnectionLost("x"), (200, JSON, [HEALTH])]

        async def main() -> None:
            async with binding.client(transport=Awaiting(replies)) as client:
                for _ in range(2):
                    assert (await client.health_async()).status == "ok"

        binding.run(main)
        assert not replies

    def test_a_transport_that_has_both_methods_is_awaited(self, binding: Binding) -> None:
        class Both(Awaiting):
            def exchange(self, request: Request) -> Reply:
                raise AssertionError

        async def main() -> None:
            async with binding.client(transport=Both([(200, JSON, [HEALTH])])) as client:
                assert (await client.health_async()).status == "ok"

        binding.run(main)

    def test_the_event_loop_goes_on_while_a_platform_executes(self, binding: Binding) -> None:
        """A run and a stream end only after the other call, which a loop that is held up never makes."""
        proceed = anyio.Event()

        async def answer(work: Work) -> AsyncIterator[str]:
            yield "a "
            await proceed.wait()
            yield "b"

        results: list[str] = []

        async def main() -> None:
            async def run() -> None:
                results.append((await client.run_async("x")).result)

            async with binding.client(transport=LocalTransport(platform)) as client, anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                async with client.run_stream("x") as stream:
                    assert [(await anext(stream)).type for _ in range(2)] == ["start", "token"]
                    await client.system.status_async()
                    proceed.set()
                    assert [each.type async for each in stream] == ["token", "final", "done"]
                results.append(stream.text)

        with Platform(executor=function_executor(answer)) as platform:
            binding.run(main)
        assert results == ["a b"] * 2

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_cancellation_cancels_the_exchange(self, binding: Binding, stream: bool) -> None:
        transport = Awaiting([])

        async def call(client: Any) -> None:
            await (anext(client.run_stream("x")) if stream else client.run_async("x"))

        async def main() -> None:
            async with binding.client(transport=transport) as client, anyio.create_task_group() as tasks:
                tasks.start_soon(call, client)
                await transport.asked.wait()
                tasks.cancel_scope.cancel()

        binding.run(main)
        assert transport.cancelled == 1

    @pytest.mark.parametrize("bound", ["timeout", "deadline"])
    def test_its_wait_is_bounded(self, binding: Binding, bound: str) -> None:
        async def main(seconds: float) -> None:
            transport = Awaiting([])
            async with binding.client(transport=transport, retries=0, **{bound: seconds}) as client:
                with pytest.raises(TimedOut):
                    await client.health_async()
                transport.replies.append((200, JSON, Waiting(b" ").pieces()))
                with pytest.raises(TimedOut):
                    await client.health_async()
            assert transport.cancelled == 1

        within(0.05, lambda seconds: binding.run(main, seconds))

    @pytest.mark.parametrize("how", ["aclose", "drop", "cancel", "close the client", "another task", "close under it"])
    def test_a_stream_that_is_left_ends_its_body(self, binding: Binding, how: str) -> None:
        body = Waiting()

        async def read(stream: Any, cause: type[Exception]) -> None:
            with pytest.raises(cause):
                await anext(stream)

        async def main() -> None:
            async with binding.client(transport=Awaiting([(200, EVENTS, body.pieces())])) as client:
                stream = client.run_stream("x")
                assert (await anext(stream)).type == "start"
                if how == "aclose":
                    await stream.aclose()
                    assert body.ended.is_set()
                elif how == "drop":
                    del stream
                elif how == "close the client":
                    await client.aclose()
                else:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(read, stream, LocalProtocolError)
                        await body.reached.wait()
                        if how == "cancel":
                            tasks.cancel_scope.cancel()
                        else:
                            await (stream if how == "another task" else client).aclose()
                with anyio.fail_after(30):
                    await body.ended.wait()

        binding.run(main)
        waited = how not in {"aclose", "drop", "close the client"}
        assert len(body.errors) == 1
        assert (body.errors[0] != "GeneratorExit") == waited

    def test_a_run_that_is_left_is_cancelled_in_its_platform(self, binding: Binding) -> None:
        ended: list[bool] = []

        async def answer(work: Work) -> AsyncIterator[str]:
            try:
                yield "a"
                await anyio.sleep_forever()
            finally:
                ended.append(True)

        async def main() -> str:
            async with binding.client(transport=LocalTransport(platform)) as client:
                async with client.run_stream("x") as stream:
                    async for each in stream:
                        if each.type == "token":
                            break
                assert ended == [True]
                outcome: str = (await client.governance.trace_async("id-1"))["outcome"]
                return outcome

        with Platform(executor=function_executor(answer), new_id=lambda: "id-1") as platform:
            assert binding.run(main) == "cancelled"

    def test_a_body_that_fails_where_it_is_left_is_logged(
        self, binding: Binding, caplog: pytest.LogCaptureFixture
    ) -> None:
        closing = anyio.Event()

        async def failing() -> AsyncIterator[bytes]:
            try:
                yield event(START)
            finally:
                closing.set()
                raise ZeroDivisionError("of the test's own")

        async def main() -> None:
            async with binding.client(transport=Awaiting([(200, EVENTS, failing())])) as client:
                stream = client.run_stream("x")
                await anext(stream)
                del stream
                with anyio.fail_after(30):
                    await closing.wait()
                for _ in range(3):
                    await anyio.lowlevel.checkpoint()

        binding.run(main)
        assert "ZeroDivisionError: of the test's own" in caplog.text
