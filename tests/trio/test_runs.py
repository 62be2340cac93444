"""What only trio has: runs, nurseries, its clock."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from hestiaos import TimedOut, TrioClient
from tests.support.peer import Peer
from tests.support.steps import Request, Script, silence
from tests.support.works import answer


def test_nothing_runs_in_the_background() -> None:
    with Peer(answer=answer) as peer:

        async def main() -> None:
            before = trio.lowlevel.current_statistics().tasks_living
            client = TrioClient(peer.url)
            stream = client.run_stream("hold")
            assert (await anext(stream)).type == "start"
            assert (await client.run_async("a")).result == "r"
            assert trio.lowlevel.current_statistics().tasks_living == before

        trio.run(main, strict_exception_groups=True)


def test_a_timeout_passes_by_trios_clock() -> None:
    def hold(request: Request) -> Script:
        return [silence]

    with Peer(answer=hold) as peer:

        async def main() -> None:
            began = trio.current_time()
            async with TrioClient(peer.url, timeout=3600.0, retries=0) as client:
                with pytest.raises(TimedOut):
                    await client.run_async("a")
            assert trio.current_time() - began >= 3600

        # The clock jumps where nothing happens for that long: the server is a thread, and answers within it.
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0.5))


def test_a_stream_is_read_by_another_nursery_than_that_in_which_it_began() -> None:
    """A stream enters no cancel scope of its own between two events."""
    with Peer(answer=answer) as peer:

        async def main() -> None:
            async with TrioClient(peer.url) as client:
                stream = client.run_stream("a")
                kinds: list[str] = []

                async def read_one() -> None:
                    kinds.append((await anext(stream)).type)

                for _ in range(4):
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(read_one)
                assert kinds == ["start", "token", "final", "done"]

        trio.run(main)
