"""Clients that let the server wait, by trio's own clock for tests."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
import trio
from trio.testing import MockClock

from hestiaos_local import Platform, serve
from tests.support.broad import BROAD
from tests.support.raw_client import HEALTH, post
from tests.support.watched_platforms import Watched

pytestmark = BROAD


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [(b"", 75.0), (HEALTH[:10], 60.0), (HEALTH, 75.0), (HEALTH + b"POST /api/v1/run HTTP/1.1\r\n", 75.0)],
    ids=["nothing", "a part", "one request", "one and a part"],
)
def test_a_client_that_lets_the_server_wait_is_left(platform: Platform, sent: bytes, seconds: float) -> None:
    """By trio's own clock for tests, which jumps on as soon as everything waits."""

    async def main() -> float:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(listening)
            async with await trio.open_tcp_stream("127.0.0.1", urlsplit(url).port) as stream:
                began = trio.current_time()
                await stream.send_all(sent)
                answered = b"".join([data async for data in stream])
                assert answered.count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")
                ended = trio.current_time()
            nursery.cancel_scope.cancel()
        return ended - began

    async def listening(task_status: trio.TaskStatus[str]) -> None:
        await serve(platform, port=0, on_listening=task_status.started)

    assert trio.run(main, clock=MockClock(autojump_threshold=0.05)) == pytest.approx(seconds)


def test_a_client_that_does_not_read_is_left() -> None:
    """By trio's clock for tests too."""

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(listening)
            async with await trio.open_tcp_stream("127.0.0.1", urlsplit(url).port) as stream:
                await stream.send_all(post("/api/v1/run/stream", json.dumps({"input": "word " * 1_000_000}).encode()))
                await stream.receive_some(1)  # the clock would jump while a thread works on the request
                await trio.sleep(59)
                assert not platform.stream_ended.is_set()
                await trio.sleep(2)
                assert platform.stream_ended.is_set()
            nursery.cancel_scope.cancel()

    async def listening(task_status: trio.TaskStatus[str]) -> None:
        await serve(platform, port=0, token_delay=0.0, on_listening=task_status.started)

    with Watched() as platform:
        trio.run(main, clock=MockClock(autojump_threshold=0.05))


def test_a_slow_client_that_reads_is_served_for_as_long_as_it_takes() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            url = await nursery.start(listening)
            async with await trio.open_tcp_stream("127.0.0.1", urlsplit(url).port) as stream:
                await stream.send_all(post("/api/v1/run/stream", json.dumps({"input": "word " * 1_000_000}).encode()))
                await stream.receive_some(1)
                for _ in range(3):  # longer than a client that does not read has
                    await trio.sleep(50)
                    assert not platform.stream_ended.is_set()
                    left = 4 * 1024**2
                    while left > 0:
                        left -= len(await stream.receive_some(65536))
                await trio.sleep(70)
                assert platform.stream_ended.is_set()
            nursery.cancel_scope.cancel()

    async def listening(task_status: trio.TaskStatus[str]) -> None:
        await serve(platform, port=0, token_delay=0.0, on_listening=task_status.started)

    with Watched() as platform:
        trio.run(main, clock=MockClock(autojump_threshold=0.05))
