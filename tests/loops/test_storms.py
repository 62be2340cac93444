"""Many tasks that are cancelled at any moment share few connections: none is lost, and none is handed out twice."""

from __future__ import annotations

import random
from collections.abc import Callable

import anyio
import pytest

from tests.support.loops import AnyClient, Binding

PLACES = 4


async def work(client: AnyClient, name: str, chance: random.Random) -> None:
    """A call, or a stream of which some is read; what comes is what was asked for."""
    if chance.random() < 0.5:
        assert (await client.run_async(name)).result == f"processed: {name}"
        return
    stream = client.run_stream(name)
    left = chance.randint(1, 8)
    async for _ in stream:
        left -= 1
        if not left:
            break
    else:
        assert stream.text == f"processed: {name}"
    if chance.random() < 0.7:  # the others are dropped
        await stream.aclose()


async def cancelled_work(client: AnyClient, name: str, chance: random.Random) -> None:
    with anyio.move_on_after(chance.random() * 0.02):
        await work(client, name, chance)


async def check_places(client: AnyClient) -> None:
    """As many streams as there are places are under way at once, and then one call more."""
    with anyio.fail_after(10):
        streams = [client.run_stream("a") for _ in range(PLACES)]
        for stream in streams:
            assert (await anext(stream)).type == "start"
        for stream in streams:
            await stream.aclose()
        assert (await client.run_async("a")).result == "processed: a"


@pytest.mark.parametrize("rounds", [12, pytest.param(120, marks=pytest.mark.thorough)])
def test_eight_at_a_time(binding: Binding, serve_platform: Callable[..., str], rounds: int) -> None:
    url = serve_platform(token_delay=0.001)
    chance = random.Random(rounds)

    async def main() -> None:
        async with binding.client(url, max_connections=PLACES) as client:
            for _ in range(rounds):
                async with anyio.create_task_group() as tasks:
                    for number in range(8):
                        tasks.start_soon(cancelled_work, client, f"task {number}", chance)
                await check_places(client)

    binding.run(main)


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.thorough) for seed in range(2, 8))])
def test_five_hundred_at_once(binding: Binding, serve_platform: Callable[..., str], seed: int) -> None:
    url = serve_platform()
    chance = random.Random(seed)

    async def main() -> None:
        async with binding.client(url, max_connections=PLACES, timeout=60.0) as client:
            async with anyio.create_task_group() as tasks:
                for number in range(500):
                    part = cancelled_work if number % 5 else work
                    tasks.start_soon(part, client, f"task {number}", chance)
            await check_places(client)

    binding.run(main)
