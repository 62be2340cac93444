"""The clients against uvicorn with Starlette and sse-starlette."""

from __future__ import annotations

import pytest
from faces import Face, FacedClient, command_line
from sse_server import SSEServer

from hestiaos import ConnectFailed, InvalidInput, NotFound, ServerError, StreamInterrupted
from tests.support.command_line import without_waits
from tests.support.expecting import within

TYPES = ["start", "token", "token", "token", "final", "done"]


def test_calls(sse_server: SSEServer, face: Face) -> None:
    async def scenario(client: FacedClient) -> None:
        assert (await client.call("run", "a")).result == "processed: a"
        assert (await client.call("health")).version == "9"
        for key in ("key", "a/b?c#d e", "ключ"):
            await client.call("secrets.set", key, "välue")
            assert await client.call("secrets.get", key) == "välue"
            await client.call("secrets.delete", key)
        seen = [await client.call("system.config") for _ in range(3)]
        assert seen[0]["http_version"] == "1.1"
        assert seen == seen[:1] * 3  # over one connection

    face.run(scenario, sse_server.url)


def test_a_stream_with_comments_and_fields_between_its_events(sse_server: SSEServer, face: Face) -> None:
    async def scenario(client: FacedClient) -> None:
        for _ in range(2):
            stream = client.stream("a")
            assert await stream.types() == TYPES
            assert stream.stream.text == "processed: ä \u2028end"
            assert stream.stream.final["result"] == "processed: a"

    face.run(scenario, sse_server.url)


@pytest.mark.parametrize("separator", [None, "CR", "LF"])
def test_each_event_arrives_before_the_next_is_made(sse_server: SSEServer, face: Face, separator: str | None) -> None:
    name = f"step by step to {face.name} with {separator}"

    async def scenario(client: FacedClient) -> None:
        stream = client.stream(name, session_id=separator)
        types = []
        for number in range(4):
            event = await stream.next()
            assert event is not None
            types.append(event.type)
            await client.call("secrets.set", name, str(number))
        assert types + await stream.types() == TYPES
        await client.call("secrets.delete", name)

    face.run(scenario, sse_server.url)


def test_pings_keep_a_read_from_timing_out(sse_server: SSEServer, face: Face) -> None:
    def bounded(seconds: float) -> None:
        async def scenario(client: FacedClient) -> None:
            await client.call("health")  # so that no connection is made within the short timeout
            stream = client.stream("step and never another", timeout=seconds)
            assert await stream.next() is not None
            with pytest.raises(TimeoutError, match=f"{seconds:g} s"):  # not the shorter one of a read
                await stream.next()

        face.run(scenario, sse_server.url, timeout=0.6 * seconds)

    within(0.8, bounded)


def test_a_client_that_leaves_early(sse_server: SSEServer, face: Face) -> None:
    async def scenario(client: FacedClient) -> None:
        for _ in range(3):
            stream = client.stream("step and never another")
            assert await stream.next() is not None
            await stream.leave()
        await client.call("governance.status")  # which the server answers when it has seen every stream's end
        assert (await client.call("run", "a")).result == "processed: a"

    face.run(scenario, sse_server.url)


def test_refusals(sse_server: SSEServer, face: Face) -> None:
    async def scenario(client: FacedClient) -> None:
        for refused in (client.call("run", "invalid"), client.stream("invalid").next()):
            with pytest.raises(InvalidInput, match=r"body\.input: Field required") as invalid:
                await refused
            assert invalid.value.details == [{"loc": ["body", "input"], "msg": "Field required", "type": "missing"}]
        with pytest.raises(NotFound, match="no such secret"):
            await client.call("secrets.get", "none")
        assert await client.call("governance.trace", "none") is None  # no such route at all
        with pytest.raises(NotFound, match=r"(?i)not found"):
            await client.call("chat.run", "hi", "session")

    face.run(scenario, sse_server.url)


def test_a_crash_in_the_server(sse_server: SSEServer, face: Face) -> None:
    async def called(client: FacedClient) -> None:
        with pytest.raises(ServerError) as crashed:
            await client.call("run", "crash")
        assert (crashed.value.status_code, crashed.value.body) == (500, b"Internal Server Error")

    async def streamed(client: FacedClient) -> None:
        with pytest.raises(ServerError) as crashed:
            await client.stream("crash").next()
        assert (crashed.value.status_code, crashed.value.body) == (500, b"Internal Server Error")

    # A client each: uvicorn promises to keep this connection and closes it.
    face.run(called, sse_server.url)
    face.run(streamed, sse_server.url)


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "stopped"])
def test_the_server_ends_in_the_middle_of_a_stream(own_sse_server: SSEServer, face: Face, killed: bool) -> None:
    async def scenario(client: FacedClient) -> None:
        stream = client.stream("step")
        await client.call("secrets.set", "step", "0")
        events = [await stream.next() for _ in range(2)]
        assert [event and event.type for event in events] == ["start", "token"]
        own_sse_server.end(kill=killed)
        with pytest.raises(StreamInterrupted) as cut:
            await stream.next()
        assert cut.value.events_received == 2
        with pytest.raises(ConnectFailed):
            await client.call("run", "a")

    face.run(scenario, own_sse_server.url)


def test_the_command_line(sse_server: SSEServer) -> None:
    streamed = command_line("-u", sse_server.url, "run", "--stream", "a")
    assert "processed: ä \u2028end" in streamed.stdout, streamed.stderr
    refused = command_line("-u", sse_server.url, "run", "invalid")
    message = f"Error: [INVALID_INPUT] body.input: Field required, at {sse_server.url}\n"
    assert (refused.returncode, without_waits(refused.stderr)) == (1, message)
