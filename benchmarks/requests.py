"""A request through a client, over a connection that is kept alive: CPU time of the client's process."""

from __future__ import annotations

from benchmarks.contestants import Contestant
from benchmarks.measuring import Plan, race
from benchmarks.replay import replay_server
from benchmarks.results import Goal, Result, compare

_SYNC = [
    Contestant("hestiaos Client", "ours:request", ("httpx",)),
    Contestant("bare httpx post + json()", "httpx:request", ("httpx",)),
    Contestant("bare httpx2 post + json()", "httpx2:request", ("httpx2",)),
    Contestant("openai", "openai:request", ("openai",)),
    Contestant("anthropic", "anthropic:request", ("anthropic",)),
    Contestant("bare socket, unparsed", "socket:request"),
]
_PUBLISHED = Contestant("hestiaos 1.0.0 AsyncClient", "published_client:request", loop="asyncio", published=True)
_ASYNC = [
    Contestant("hestiaos AsyncClient", "ours:async_request", ("httpx",), loop="asyncio"),
    Contestant("bare httpx.AsyncClient post + json()", "httpx:async_request", ("httpx",), loop="asyncio"),
    Contestant("bare httpx2.AsyncClient post + json()", "httpx2:async_request", ("httpx2",), loop="asyncio"),
    Contestant("aiohttp post + json()", "aiohttp:request", ("aiohttp",), loop="asyncio"),
    _PUBLISHED,
]
_ASYNCIO = [
    Contestant("hestiaos AsyncioClient", "ours:asyncio_request", loop="asyncio"),
    Contestant("aiohttp post + json()", "aiohttp:request", ("aiohttp",), loop="asyncio"),
]
_TRIO = [
    Contestant("hestiaos TrioClient", "ours:trio_request", ("trio",), loop="trio"),
    Contestant("bare h11 on trio + json", "h11_on_trio:request", ("trio",), loop="trio"),
    _PUBLISHED,
]


def run(plan: Plan) -> Result:
    """One race for each of our clients."""
    count = plan.size(300)
    with replay_server() as url:
        sync, asynchronous, on_asyncio, on_trio = (
            race(field, plan, units=count, url=url, count=count) for field in (_SYNC, _ASYNC, _ASYNCIO, _TRIO)
        )
    if plan.quick:
        return Result()
    return Result(
        [
            *compare("a request through `Client`", _SYNC[0].name, sync, [Goal(_SYNC[1].name, cost=1.1)]),
            *compare("a request through `AsyncClient`", _ASYNC[0].name, asynchronous, []),
            *compare(
                "a request through `AsyncioClient`", _ASYNCIO[0].name, on_asyncio, [Goal(_ASYNCIO[1].name, cost=1.0)]
            ),
            *compare(
                "a request through `TrioClient`",
                _TRIO[0].name,
                on_trio,
                [Goal(_PUBLISHED.name, speed=4), Goal(_TRIO[1].name, cost=1.1)],
            ),
        ]
    )
