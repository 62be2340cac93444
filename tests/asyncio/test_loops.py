"""What only asyncio has: its flow control, its debug mode, its other event loops, its ways to cancel."""

from __future__ import annotations

import asyncio
import gc
import ssl
import threading
from importlib.util import find_spec
from typing import Any

import pytest
import trustme

from hestiaos import AsyncioClient, LocalProtocolError
from tests.support.leftovers import left_over, open_things
from tests.support.peer import Peer
from tests.support.steps import Connection, Request, Script, flood, send, silence
from tests.support.wire import START, STREAM_HEAD, TOKEN, chunk, event
from tests.support.works import answer

MIB = 1024 * 1024


@pytest.fixture(params=["http", "https"])
def contexts(request: pytest.FixtureRequest) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """A server's and a client's."""
    if request.param == "http":
        return None, None
    authority, serving, trusting = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    authority.configure_trust(trusting)
    return serving, trusting


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_unread_stream_is_not_received_without_limit(contexts: Any, loop: str) -> None:
    """The server's `send` blocks; then every event is read, and the response's end."""
    module = pytest.importorskip(loop)
    serving, trusting = contexts
    count = 64 * MIB // 65536
    token = chunk(event({"type": "token", "data": {"text": "x" * 60_000}}))

    def begin(connection: Connection) -> None:
        connection.send(STREAM_HEAD + chunk(event(START)))

    rest = b"".join(chunk(event({"type": kind})) for kind in ("final", "done")) + b"0\r\n\r\n"
    with Peer([begin, flood(token, most=count * len(token)), send(rest)], tls=serving) as peer:

        async def main() -> None:
            async with AsyncioClient(peer.url, ssl_context=trusting) as client:
                stream = client.run_stream("a")
                assert (await anext(stream)).type == "start"
                await stand_still(lambda: peer.flooded)
                assert peer.flooded < 24 * MIB  # what the sockets' buffers hold; they grow
                assert [each.type async for each in stream] == ["token"] * count + ["final", "done"]
                assert (await client.health_async()).status == "ok"
            assert peer.connections == 1

        with asyncio.Runner(loop_factory=module.new_event_loop) as runner:
            runner.run(main())


async def stand_still(measure: Any) -> None:
    """Wait until a number changes no more."""
    before = None
    while (now := measure()) != before:
        before = now
        await asyncio.sleep(0.2)


def test_one_wake_up_hands_on_all_that_has_arrived() -> None:
    data = STREAM_HEAD + chunk(event(START)) + chunk(event(TOKEN)) * 1000
    sent = threading.Event()
    with Peer([send(data), lambda _: sent.set(), silence]) as peer:

        async def main() -> None:
            async with AsyncioClient(peer.url) as client:
                stream = client.run_stream("a")
                assert (await anext(stream)).type == "start"
                await asyncio.to_thread(sent.wait)
                await asyncio.sleep(0.1)  # all is there
                steps = 0

                def count() -> None:
                    nonlocal steps
                    steps += 1
                    loop.call_soon(count)

                loop = asyncio.get_running_loop()
                loop.call_soon(count)
                for _ in range(1000):
                    assert (await anext(stream)).type == "token"
                assert steps <= 3

        asyncio.run(main())


def test_no_warning_in_asyncio_debug_mode(caplog: pytest.LogCaptureFixture, contexts: Any) -> None:
    """It looks for calls from other threads than the loop's, and for coroutines that were never awaited."""
    serving, trusting = contexts
    with Peer(answer=answer, tls=serving) as peer:

        async def main() -> None:
            asyncio.get_running_loop().slow_callback_duration = 3600.0
            async with AsyncioClient(peer.url, ssl_context=trusting, max_connections=2) as client:
                for _ in range(3):
                    stream = client.run_stream("hold")
                    assert (await anext(stream)).type == "start"
                    await asyncio.to_thread(drop, [stream])
                    del stream
                    gc.collect()
                    assert (await client.run_async("a")).result == "r"

        asyncio.run(main(), debug=True)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def drop(streams: list[Any]) -> None:
    streams.clear()


@pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not installed")
def test_uvloop(contexts: Any) -> None:
    import uvloop

    serving, trusting = contexts
    uvloop.new_event_loop().close()  # uvloop's first loop opens what it keeps for all of them
    before = open_things()
    with Peer(answer=answer, tls=serving) as peer:
        client = AsyncioClient(peer.url, ssl_context=trusting, max_connections=1)

        async def main() -> None:
            for _ in range(3):
                assert (await client.run_async("x" * MIB)).result == "r"
                assert [each.type async for each in client.run_stream("a")][-1] == "done"
                async with client.run_stream("hold") as stream:
                    assert (await anext(stream)).type == "start"

        for _ in range(3):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())
        loop = uvloop.new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        asyncio.run(client.aclose())
    assert left_over(before) == set()


def test_a_task_that_is_cancelled_twice() -> None:
    with Peer(answer=answer) as peer:

        async def main() -> None:
            async with AsyncioClient(peer.url, max_connections=1) as client:
                for _ in range(3):
                    stream = client.run_stream("hold")
                    assert (await anext(stream)).type == "start"
                    task = asyncio.create_task(stream.__anext__())
                    await asyncio.sleep(0)
                    task.cancel()
                    task.cancel()
                    await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                    assert task.cancelled()
                    with pytest.raises(LocalProtocolError, match="closed"):
                        await anext(stream)
                assert (await client.run_async("a")).result == "r"

        asyncio.run(main())


def test_a_timeout_of_asyncio_stays_a_timeout_of_asyncio() -> None:
    """And not as the stream's own end, though that uses the same means."""

    def hold(request: Request) -> Script:
        return [silence]

    with Peer(answer=hold) as peer:

        async def main() -> None:
            async with AsyncioClient(peer.url) as client:
                with pytest.raises(TimeoutError) as late:
                    async with asyncio.timeout(0.1):
                        await anext(client.run_stream("a"))
                assert type(late.value) is TimeoutError

        asyncio.run(main())
