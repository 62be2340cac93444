"""Bytes to events, without a socket."""

from __future__ import annotations

from benchmarks.contestants import Contestant
from benchmarks.measuring import Plan, race
from benchmarks.results import Goal, Result, compare

_OURS = Contestant("hestiaos", "ours:decode", ("msgspec",))
_PLAIN = Contestant("hestiaos, standard library only", "ours:decode", hidden=("msgspec",))
_PUBLISHED = Contestant("hestiaos 1.0.0", "published_client:decode", loop="asyncio", published=True)
_PEERS = [
    _PUBLISHED,
    Contestant("httpx-sse + json", "httpx_sse:decode", ("httpx_sse",)),
    Contestant("openai's decoder + json", "openai:decode", ("openai",)),
    Contestant("anthropic's decoder + json", "anthropic:decode", ("anthropic",)),
    Contestant("sseclient-py + json", "sseclient:decode", ("sseclient",)),
    Contestant("mcp", "mcp:decode", ("mcp",), loop="asyncio"),
]
_MSGSPEC = Contestant("msgspec on the bare payloads", "floor:decode_msgspec", ("msgspec",))
_JSON = Contestant("json on the bare payloads", "floor:decode_json")
_NAMES = [peer.name for peer in _PEERS]


def run(plan: Plan) -> Result:
    """Three races over the same events."""
    events = plan.size(10_000)
    large, single = {"events": events, "piece": 65536}, {"events": events, "piece": 0}
    with_speed = race([_OURS, *_PEERS, _MSGSPEC, _JSON], plan, units=events, **large)
    plain = race([_PLAIN, _PUBLISHED, _JSON], plan, units=events, **large)
    by_event = race([_OURS, *_PEERS], plan, units=events, **single)
    by_event_plain = race([_PLAIN, _PUBLISHED], plan, units=events, **single)
    if plan.quick:
        return Result()
    return Result(
        [
            *compare(
                "bytes → events, pieces of 64 KiB, with `speed`",
                _OURS.name,
                with_speed,
                [
                    Goal(_PUBLISHED.name, speed=3),
                    Goal("httpx-sse + json", speed=3),
                    Goal("openai's decoder + json", speed=4),
                    Goal(_MSGSPEC.name, cost=2.2),
                ],
            ),
            *compare(
                "bytes → events, pieces of 64 KiB, standard library only",
                _PLAIN.name,
                plain,
                [Goal(_PUBLISHED.name, speed=1.6), Goal(_JSON.name, cost=1.6)],
            ),
            *compare(
                "bytes → events, one event a piece, with `speed`",
                _OURS.name,
                by_event,
                [Goal(name, speed=2) for name in _NAMES],
            ),
            *compare("bytes → events, one event a piece, standard library only", _PLAIN.name, by_event_plain, []),
        ]
    )
