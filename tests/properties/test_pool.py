"""Every interleaving of what four exchanges, the server and the user can do to a pool of two places.

After each step: no more leases are admitted than there are places, the first in the queue are admitted and woken,
no connection is held twice or handed out after it was given up, and none is forgotten.
"""

from __future__ import annotations

from typing import Any

import pytest

from hestiaos_proto._pool import ConnectionPool, Lease
from tests.support.broad import BROAD

PLACES = 2
Step = tuple[str, int]

# What an exchange can do next, by how far it has come. To vanish is to be dropped without a word.
MOVES = {
    "new": ("join",),
    "waiting": ("ask", "discard", "vanish"),
    "admitted": ("acquire", "discard", "vanish"),
    "opening": ("open", "discard", "vanish"),
    "holding": ("release", "discard", "vanish"),
    "over": (),
}


class Explored:
    """A pool after a sequence of steps, and what is known of it from outside."""

    def __init__(self, steps: tuple[Step, ...], *, exchanges: int, keepalive: int) -> None:
        self.keepalive = keepalive
        self.pool: ConnectionPool[int] = ConnectionPool(PLACES, keepalive, usable=lambda each: each not in self.expired)
        self.phases = ["new"] * exchanges
        self.leases: dict[int, Lease[int]] = {}
        self.woken: set[int] = set()
        self.opened: set[int] = set()
        self.expired: set[int] = set()
        self.given_up: set[int] = set()
        self.vanished = False
        for step in steps:
            self.take(step)

    @property
    def idle(self) -> set[int]:
        held = {lease.connection for lease in self.leases.values()}
        return self.opened - self.given_up - held

    def possible(self) -> list[Step]:
        steps = [(move, who) for who, phase in enumerate(self.phases) for move in MOVES[phase]]
        # A waiting exchange asks when it is woken; one that vanished wakes none, so then it asks now and then.
        steps = [(move, who) for move, who in steps if move != "ask" or who in self.woken or self.vanished]
        steps += [("expire", each) for each in self.idle - self.expired]
        return steps if self.pool.closed else [*steps, ("close", 0)]

    def take(self, step: Step) -> None:
        getattr(self, f"_{step[0]}")(step[1])
        self.given_up.update(self.pool.surplus())
        self._check()

    def _join(self, who: int) -> None:
        self.leases[who] = lease = Lease(lambda: self.woken.add(who))
        self.pool.enqueue(lease)
        self.phases[who] = "waiting"
        self._ask(who)

    def _ask(self, who: int) -> None:
        self.woken.discard(who)
        if self.pool.admits(self.leases[who]):
            self.phases[who] = "admitted"

    def _acquire(self, who: int) -> None:
        connection = self.pool.acquire(self.leases[who])
        self.phases[who] = "opening" if connection is None else "holding"
        assert connection not in self.expired

    def _open(self, who: int) -> None:
        connection = len(self.opened)
        self.opened.add(connection)
        self.pool.opened(self.leases[who], connection)
        self.phases[who] = "holding"

    def _release(self, who: int) -> None:
        self.pool.release(self.leases.pop(who))
        self.phases[who] = "over"

    def _discard(self, who: int) -> None:
        lease = self.leases.pop(who)
        if lease.connection is not None:
            self.given_up.add(lease.connection)
        self.pool.discard(lease)
        self.phases[who] = "over"

    def _vanish(self, who: int) -> None:
        del self.leases[who]
        self.phases[who] = "over"
        self.vanished = True

    def _expire(self, connection: int) -> None:
        self.expired.add(connection)

    def _close(self, _: int) -> None:
        self.given_up.update(self.pool.close())

    def _check(self) -> None:
        held = [lease.connection for lease in self.leases.values() if lease.connection is not None]
        assert len(held) == len(set(held))
        active = [who for who in self.leases if self.phases[who] != "waiting"]
        waiting = [who for who in self.leases if self.phases[who] == "waiting"]
        if self.pool.closed:
            assert self.woken.issuperset(waiting)
            assert not self.idle
            return
        assert len(active) <= PLACES
        assert self.given_up.isdisjoint(held)
        for who in waiting[: PLACES - len(active)]:
            assert who in self.woken or self.vanished
        assert len(self.idle) <= self.keepalive

    def state(self) -> tuple[Any, ...]:
        """What the future depends on."""
        holds = tuple((who, lease.connection) for who, lease in self.leases.items())
        sets = (self.woken, self.opened, self.expired, self.given_up)
        return (*self.phases, holds, *map(frozenset, sets), tuple(self.pool._idle), self.vanished, self.pool.closed)


@pytest.mark.parametrize("keepalive", [0, 1, 2])
@pytest.mark.parametrize("exchanges", [2, pytest.param(3, marks=BROAD), pytest.param(4, marks=pytest.mark.thorough)])
def test_every_interleaving(exchanges: int, keepalive: int) -> None:
    seen: set[tuple[Any, ...]] = set()
    left: list[tuple[Step, ...]] = [()]
    while left:
        steps = left.pop()
        explored = Explored(steps, exchanges=exchanges, keepalive=keepalive)
        if (state := explored.state()) in seen:
            continue
        seen.add(state)
        left.extend((*steps, step) for step in explored.possible())
    assert len(seen) > 100
