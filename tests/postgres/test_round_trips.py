"""How often what is stored waits for the server: a database on another machine is a millisecond away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, TypeVar

import pytest
from attrs import evolve

from hestiaos_local.governance import Charge, Limit, Reservation
from hestiaos_local.storage import Approval, Claimed, Outcome, Store
from tests.support.postgres import server_or_skip
from tests.support.postgres_proxy import CountingProxy
from tests.support.storages import postgres_url, trace

pytest.importorskip("psycopg")

R = TypeVar("R")

LIMITS = (
    Limit(name="all", per="all", window=60.0, requests=1000),
    Limit(name="agent", per="agent", window=60.0, tokens=10**6),
)
CHARGES = [Charge(name=limit.name, per=limit.per, subject="", limit=limit, tokens=10) for limit in LIMITS]


@pytest.fixture
def proxy() -> Iterator[CountingProxy]:
    with postgres_url(), CountingProxy(server_or_skip().directory) as proxy:
        yield proxy


@pytest.fixture
def store(proxy: CountingProxy) -> Iterator[Store]:
    with closing(Store(proxy.url)) as store:
        store.works()  # now there is a connection, and a chain
        yield store


def count(proxy: CountingProxy, use: Callable[..., R], *arguments: Any, **named: Any) -> tuple[int, R]:
    before = proxy.round_trips
    result = use(*arguments, **named)
    return proxy.round_trips - before, result


def test_the_round_trips_of_an_execution(proxy: CountingProxy, store: Store) -> None:
    """One for what is read, and for what is written one for what it depends on, and one with the commit.

    The least of several: a connection that executes a statement for the sixth time has it prepared, once.
    """
    rounds = [execution(proxy, store, str(number)) for number in range(10)]
    assert {name: min(each[name] for each in rounds) for name in rounds[0]} == {
        "claim": 2,
        "secret_values": 1,
        "reserve": 2,
        "add_trace": 2,
        "finish_trace": 2,
        "settle": 2,
        "finish": 2,
        "repeat": 2,
    }


def execution(proxy: CountingProxy, store: Store, key: str) -> dict[str, int]:
    counted = {}
    counted["claim"], claim = count(proxy, store.claim, key, "f", now=1.0, lease=9.0)
    counted["secret_values"], _ = count(proxy, store.secret_values)
    counted["reserve"], reservation = count(proxy, store.reserve, CHARGES, now=1.0)
    counted["add_trace"], _ = count(proxy, store.add_trace, trace(key))
    counted["finish_trace"], _ = count(proxy, store.finish_trace, key, Outcome("completed"))
    assert isinstance(reservation, Reservation)
    counted["settle"], _ = count(proxy, store.settle, reservation, tokens=5)
    assert isinstance(claim, Claimed)
    counted["finish"], _ = count(proxy, store.finish, key, claim.token, {"a": 1})
    counted["repeat"], _ = count(proxy, store.claim, key, "f", now=1.0, lease=9.0)
    return counted


def test_the_round_trips_of_the_rest(proxy: CountingProxy, store: Store) -> None:
    store.add_trace(trace("before"))
    assert count(proxy, store.trace, "before")[0] == 1
    blocked = evolve(trace("blocked", "BLOCK"), outcome=Outcome("blocked"))
    assert count(proxy, store.add_trace, blocked)[0] == 2
    assert count(proxy, store.messages, "s", last=10)[0] == 1
    assert count(proxy, store.add_messages, "s", [{"content": "x"}, {"content": "y"}], now=1.0)[0] == 2
    approval = Approval(id="a", call_hash="c", created_at=1.0, expires_at=9.0)
    assert count(proxy, store.add_approval, approval, now=1.0)[0] == 2
    assert count(proxy, store.decide_approval, "a", True, by="x", now=1.0) == (2, True)
    assert count(proxy, store.works) == (3, True)
