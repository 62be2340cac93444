"""A stream of which much has arrived already leaves other tasks their turns."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from hestiaos import AsyncClient
from tests.support.broad import LOOPS
from tests.support.peer import Peer
from tests.support.steps import send, silence
from tests.support.wire import START, STREAM_HEAD, TOKEN, chunk, event

COUNT = 8000
LARGE = event(TOKEN).replace(b'"text"', b'"padding": "' + b"x" * 100 + b'", "text"')


@pytest.mark.parametrize("backend", LOOPS)
def test_a_stream_that_can_be_read_at_once_lets_other_tasks_run(backend: str) -> None:
    async def main(peer: Peer) -> None:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        async with AsyncClient(peer.url) as client, client.run_stream("x") as stream:
            assert (await anext(stream)).type == "start"
            await anyio.sleep(0.3)  # so that what follows waits in the kernel's buffers
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(count)
                await anyio.lowlevel.checkpoint()
                turns = 0
                for _ in range(COUNT):
                    assert (await anext(stream)).type == "token"
                tasks.cancel_scope.cancel()
        assert turns >= 10  # a turn for each read, of 64 KiB at most

    with Peer([send(STREAM_HEAD + chunk(event(START))), send(chunk(LARGE) * COUNT), silence]) as peer:
        anyio.run(main, peer, backend=backend)
