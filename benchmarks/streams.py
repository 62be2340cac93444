"""A stream through a client, over a socket: CPU time of the client's process for each event.

Each event is one HTTP chunk, played as fast as it is read, or slowly, so that each is read by itself.
"""

from __future__ import annotations

from benchmarks.contestants import Contestant
from benchmarks.measuring import Plan, race
from benchmarks.replay import replay_server
from benchmarks.results import Goal, Result, compare

_SYNC = [
    Contestant("hestiaos Client", "ours:stream", ("httpx",)),
    Contestant("bare httpx, unparsed", "httpx:stream", ("httpx",)),
    Contestant("bare httpx2, unparsed", "httpx2:stream", ("httpx2",)),
    Contestant("httpx + httpx-sse + json", "httpx_sse:stream", ("httpx_sse",)),
    Contestant("openai", "openai:stream", ("openai",)),
    Contestant("anthropic", "anthropic:stream", ("anthropic",)),
    Contestant("bare socket, unparsed", "socket:stream"),
]
_PUBLISHED = Contestant("hestiaos 1.0.0 AsyncClient", "published_client:stream", loop="asyncio", published=True)
_ASYNC = [
    Contestant("hestiaos AsyncClient", "ours:async_stream", ("httpx",), loop="asyncio"),
    Contestant("bare httpx.AsyncClient, unparsed", "httpx:async_stream", ("httpx",), loop="asyncio"),
    Contestant("bare httpx2.AsyncClient, unparsed", "httpx2:async_stream", ("httpx2",), loop="asyncio"),
    Contestant("aiohttp, lines + json", "aiohttp:stream", ("aiohttp",), loop="asyncio"),
    _PUBLISHED,
]
_ASYNCIO = [
    Contestant("hestiaos AsyncioClient", "ours:asyncio_stream", loop="asyncio"),
    Contestant("aiohttp, lines + json", "aiohttp:stream", ("aiohttp",), loop="asyncio"),
]
_TRIO = [
    Contestant("hestiaos TrioClient", "ours:trio_stream", ("trio",), loop="trio"),
    Contestant("bare h11 on trio, unparsed", "h11_on_trio:stream", ("trio",), loop="trio"),
    _PUBLISHED,
]

_SLOW = "a stream, one event a read, through"


def run(plan: Plan) -> Result:
    """One race for each of our clients, and one more for those over httpx."""
    events, slow = plan.size(10_000), plan.size(1000)
    with replay_server() as url:
        sync, asynchronous, on_asyncio, on_trio = (
            race(field, plan, units=events, url=url, events=events) for field in (_SYNC, _ASYNC, _ASYNCIO, _TRIO)
        )
        slow_sync, slow_async = (
            race(field[:3], plan, units=slow, url=url, events=slow, pace="slow ") for field in (_SYNC, _ASYNC)
        )
    if plan.quick:
        return Result()
    return Result(
        [
            *compare("a stream through `Client`", _SYNC[0].name, sync, [Goal(_SYNC[1].name, cost=0.4)]),
            *compare(f"{_SLOW} `Client`", _SYNC[0].name, slow_sync, [Goal(_SYNC[1].name, cost=1.25)]),
            *compare("a stream through `AsyncClient`", _ASYNC[0].name, asynchronous, [Goal(_ASYNC[1].name, cost=0.4)]),
            *compare(f"{_SLOW} `AsyncClient`", _ASYNC[0].name, slow_async, [Goal(_ASYNC[1].name, cost=1.1)]),
            *compare(
                "a stream through `AsyncioClient`", _ASYNCIO[0].name, on_asyncio, [Goal(_ASYNCIO[1].name, cost=0.5)]
            ),
            *compare(
                "a stream through `TrioClient`",
                _TRIO[0].name,
                on_trio,
                [Goal(_PUBLISHED.name, speed=4), Goal(_TRIO[1].name, cost=1.2)],
            ),
        ]
    )
