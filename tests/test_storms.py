"""Many tasks that are cancelled at any moment share few connections.

None is lost, none is handed out twice: each task has the answer to its own question; and nothing is left.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from tests.support import pools
from tests.support.peer import Peer
from tests.support.pools import GIVEN, OWN, PATIENCE, Kind, Leftovers
from tests.support.steps import Request, Script, pause, send
from tests.support.wire import DONE, FINAL, RUN, START, event, events, ok, stream
from tests.support.works import answer

PLACES = 4

kinds = pytest.mark.parametrize("kind", pools.params(OWN + GIVEN))
thorough = [pytest.mark.thorough, pytest.mark.timeout(600)]


def echo(request: Request) -> Script:
    """What was asked, after a moment, so that a cancellation finds tasks that wait for it."""
    text = json.loads(request.body)["input"]
    if text == "hold":
        return answer(request)
    if request.target.endswith("/stream"):
        token = {"type": "token", "data": {"text": text}}
        return [pause(0.001), send(stream(event(START), event(token), events(FINAL, DONE)))]
    return [pause(0.001), send(ok(RUN | {"result": text}))]


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer(answer=echo) as peer:
        yield peer


async def call(client: Any, name: str) -> None:
    assert (await client.run_async(name)).result == name


async def read(client: Any, name: str) -> None:
    async with client.run_stream(name) as stream:
        assert [event.type async for event in stream][-1] == "done"
        assert stream.text == name


async def leave(client: Any, name: str) -> None:
    async with client.run_stream(name) as stream:
        assert (await anext(stream)).type == "start"


async def drop(client: Any, name: str) -> None:
    """The object is dropped, and its connection is to be closed by the one that notices."""
    assert (await anext(client.run_stream(name))).type == "start"


async def check_places(client: Any) -> None:
    """As many streams as there are places are under way at once; then a call is served."""
    streams = [client.run_stream("hold") for _ in range(PLACES)]
    for each in streams:
        assert (await anext(each)).type == "start"
    for each in streams:
        await each.aclose()
    await call(client, "last")


WORKS = [call, read, leave, drop]


async def cancelled_soon(client: Any, name: str, chance: random.Random) -> None:
    with anyio.move_on_after(chance.random() * 0.02):
        await chance.choice(WORKS)(client, name)


@kinds
@pytest.mark.parametrize("rounds", [12, pytest.param(120, marks=thorough)])
def test_eight_calls_at_a_time(kind: Kind, peer: Peer, rounds: int) -> None:
    """Twice as many tasks as places, again and again, all of them cancelled together or each by itself."""
    chance = random.Random(rounds)

    async def main() -> None:
        leftovers = Leftovers(kind.backend)
        async with kind.open(peer.url, None, PLACES) as client:
            for number in range(rounds):
                async with anyio.create_task_group() as tasks:
                    for task in range(8):
                        tasks.start_soon(cancelled_soon, client, f"task {task}", chance)
                    if number % 2:
                        await anyio.sleep(chance.random() * 0.01)
                        tasks.cancel_scope.cancel()
                await check_places(client)
        await leftovers.check(f"{rounds} rounds")

    anyio.run(main, backend=kind.backend)


@kinds
@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=thorough) for seed in range(2, 8))])
def test_five_hundred_calls_at_once(kind: Kind, peer: Peer, seed: int) -> None:
    """Every fifth task is left alone, and is served though all others are cancelled around it."""
    chance = random.Random(seed)

    async def main() -> None:
        leftovers = Leftovers(kind.backend)
        async with kind.open(peer.url, None, PLACES, timeout=60.0) as client:
            async with anyio.create_task_group() as tasks:
                for number in range(500):
                    if number % 5:
                        tasks.start_soon(cancelled_soon, client, f"task {number}", chance)
                    else:
                        tasks.start_soon(chance.choice(WORKS), client, f"task {number}")
            with anyio.fail_after(PATIENCE):
                await check_places(client)
        await leftovers.check(f"seed {seed}")

    anyio.run(main, backend=kind.backend)
