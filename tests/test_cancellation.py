"""A call and a stream cancelled at every place where they wait: afterwards the pool is whole, and nothing is left.

A cancellation is stepped through a piece of work: at its first suspension, at its second, and so on until the work is
done before its turn comes.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.support import pools
from tests.support.cancellations import CANCELLERS, Canceller, Suspensions, counted_tasks
from tests.support.peer import Peer
from tests.support.places import Arrival, certificates, hear
from tests.support.pools import OWN, Kind, Leftovers, check_places, half_a_stream, one_call, one_stream
from tests.support.steps import Request, Script, pause, silence
from tests.support.works import answer

Work = Callable[[Any], Awaitable[None]]

PLACES = 2  # as many connections as a pool here may have
MOST = 200  # suspensions; a piece of work that has more does not end

kinds = pytest.mark.parametrize("kind", pools.params(OWN))
late = pytest.mark.parametrize("late", [False, True], ids=["while it waits", "late"])


def answer_after_a_moment(request: Request) -> Script:
    """So that the client waits for it: what is there already need not be waited for."""
    return [pause(0.002), *answer(request)]


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer(answer=answer_after_a_moment) as peer:
        yield peer


@pytest.fixture
def tls_peer() -> Iterator[Peer]:
    with Peer(answer=answer_after_a_moment, tls=certificates()[0]) as peer:
        yield peer


def step_through(kind: Kind, peer: Peer, work: Work, cancelled: Canceller, *, warm: bool = False, **how: Any) -> int:
    """Cancel `work` at its first suspension, then at its second, and so on. How many there are."""
    _, trusting = certificates()

    async def main() -> int:
        for turn in range(1, MOST):
            leftovers = Leftovers(kind.backend)
            async with kind.open(peer.url, trusting, PLACES) as client:
                if warm:
                    await check_places(client, PLACES)
                came = await cancelled(work(client), turn, **how)  # type: ignore[arg-type]  # they are coroutines
                await check_places(client, PLACES)
            await leftovers.check(f"cancelled at {turn}")
            if not came:
                return turn
        raise AssertionError("the work does not end")

    return anyio.run(main, backend=kind.backend)


@kinds
@late
@pytest.mark.parametrize("work", [one_call, one_stream])
def test_cancellation_on_a_new_connection(kind: Kind, peer: Peer, work: Work, late: bool) -> None:
    for cancelled in CANCELLERS[kind.backend]:
        # The least there can be: the response arrives, and what follows is not cancelled any more.
        assert step_through(kind, peer, work, cancelled, late=late) >= 2


@kinds
@late
@pytest.mark.parametrize("work", [one_call, one_stream, half_a_stream])
def test_cancellation_on_a_kept_connection(kind: Kind, peer: Peer, work: Work, late: bool) -> None:
    for cancelled in CANCELLERS[kind.backend]:
        assert step_through(kind, peer, work, cancelled, late=late, warm=True) >= 2


@kinds
@late
def test_cancellation_over_tls(kind: Kind, tls_peer: Peer, late: bool) -> None:
    for cancelled in CANCELLERS[kind.backend]:
        assert step_through(kind, tls_peer, one_call, cancelled, late=late) >= 2


@kinds
@pytest.mark.parametrize("times", [2, pytest.param(3, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("work", [one_call, half_a_stream])
def test_a_second_cancellation_while_the_first_ends_the_call(
    kind: Kind, peer: Peer, tls_peer: Peer, work: Work, times: int
) -> None:
    """The cancellation meets what an earlier one set off (encode/httpx#3782)."""
    for cancelled in CANCELLERS[kind.backend]:
        for server in peer, tls_peer:
            for warm in (False, True) if times > 2 else (server is peer,):
                assert step_through(kind, server, work, cancelled, warm=warm, times=times) >= 2


@kinds
@late
def test_cancellation_of_a_queued_call_as_a_connection_becomes_free(kind: Kind, peer: Peer, late: bool) -> None:
    async def close(streams: list[Any]) -> None:
        for stream in streams:
            await stream.aclose()

    async def main() -> int:
        for turn in range(1, MOST):
            leftovers = Leftovers(kind.backend)
            async with kind.open(peer.url, None, PLACES) as client:
                streams = [client.run_stream("hold") for _ in range(PLACES)]
                for stream in streams:
                    await anext(stream)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(one_call, client)
                    await anyio.wait_all_tasks_blocked()
                    steps = Suspensions(turn, tasks.cancel_scope.cancel, late=late)
                    with anyio.CancelScope(shield=True), counted_tasks(steps):
                        await steps.during(close(streams))
                await check_places(client, PLACES)
            await leftovers.check(f"cancelled at {turn}")
            if steps.count < turn:
                return turn
        raise AssertionError("the closing does not end")

    assert anyio.run(main, backend=kind.backend) >= 1  # where a stream's end never waits there is one turn


@kinds
@pytest.mark.parametrize("times", [1, 2])
def test_cancellation_in_a_tls_handshake(kind: Kind, tls_peer: Peer, times: int) -> None:
    """Its socket is closed at once, not when the client is or when the collector comes to it."""
    arrival = Arrival()

    async def main() -> None:
        await anyio.to_thread.run_sync(int)  # the thread that it starts stays
        leftovers = Leftovers(kind.backend)
        async with kind.open(tls_peer.url, certificates()[1], 1) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one_call, client)
                await anyio.to_thread.run_sync(arrival.wait)
                for _ in range(times):
                    tasks.cancel_scope.cancel()
            await anyio.to_thread.run_sync(tls_peer.wait_until_left, 1)
            await check_places(client, 1)
        await leftovers.check("cancelled")

    tls_peer.open_next([hear, arrival, silence])
    gc.disable()
    try:
        anyio.run(main, backend=kind.backend)
    finally:
        gc.enable()
