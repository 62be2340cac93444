"""`ConnectionPool`: who may use which connection. Every interleaving of it is in tests/properties/test_pool.py."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from types import FrameType
from typing import Any

import pytest

from hestiaos_proto._pool import _RETIRED, ConnectionPool, Lease


def nothing() -> None:
    """A wake function that does nothing."""


def enqueued(pool: ConnectionPool[Any], wake: Callable[[], object] = nothing) -> Lease[Any]:
    lease: Lease[Any] = Lease(wake)
    pool.enqueue(lease)
    return lease


class Case:
    """A pool of strings; those in `unusable` cannot serve another exchange."""

    def __init__(self, most: int | None = 2, keepalive: int | None = None) -> None:
        self.unusable: set[str] = set()
        self.pool: ConnectionPool[str] = ConnectionPool(most, keepalive, usable=lambda each: each not in self.unusable)

    def opened(self, connection: str) -> Lease[str]:
        """A lease that has opened a connection."""
        lease = enqueued(self.pool)
        assert self.pool.admits(lease)
        assert self.pool.acquire(lease) is None
        self.pool.opened(lease, connection)
        return lease

    def kept(self, *connections: str) -> None:
        """Have these kept, the last one released last."""
        for lease in [self.opened(connection) for connection in connections]:
            self.pool.release(lease)

    def acquire(self) -> str | None:
        lease = enqueued(self.pool)
        connection = self.pool.acquire(lease)
        self.pool.discard(lease)
        return connection


def test_the_connection_that_was_released_last_is_acquired_first() -> None:
    case = Case(None)
    case.kept("a", "b", "c")
    assert [case.acquire(), case.acquire(), case.acquire(), case.acquire()] == ["c", "b", "a", None]


def test_a_connection_that_cannot_be_used_is_passed_over_and_closed() -> None:
    case = Case()
    case.kept("a", "b")
    case.unusable.add("b")
    assert case.acquire() == "a"
    assert case.pool.surplus() == ["b"]


@pytest.mark.parametrize(("keepalive", "closed"), [(0, ["a", "b", "c"]), (1, ["a", "b"]), (3, []), (None, [])])
def test_no_more_are_kept_than_the_limit(keepalive: int | None, closed: list[str]) -> None:
    case = Case(None, keepalive)
    case.kept("a", "b", "c")
    assert case.pool.surplus() == closed
    assert case.pool.surplus() == []


def test_the_oldest_that_cannot_be_used_are_closed() -> None:
    case = Case(None)
    case.kept("a", "b", "c")
    case.unusable.update("ac")  # "c" is found only after one that can still be used
    assert case.pool.surplus() == ["a"]


def test_leases_are_admitted_in_the_order_in_which_they_came() -> None:
    case = Case(1)
    woken: list[str] = []
    first, second, third = (enqueued(case.pool, lambda name=name: woken.append(name)) for name in "abc")
    assert [case.pool.admits(lease) for lease in (third, second, first)] == [False, False, True]
    case.pool.discard(first)
    assert woken == ["b"]
    assert [case.pool.admits(lease) for lease in (third, second)] == [False, True]
    case.pool.release(second)
    assert woken == ["b", "c"]
    assert case.pool.admits(third)


def test_an_exchange_that_no_longer_waits_leaves_the_queue() -> None:
    case = Case(1)
    first = case.opened("a")
    second, third = enqueued(case.pool), enqueued(case.pool)
    case.pool.discard(second)
    case.pool.release(first)
    assert case.pool.admits(third)
    assert case.pool.acquire(third) == "a"


def test_a_dropped_lease_releases_its_place_and_closes_its_connection() -> None:
    case = Case(1)
    lease: Lease[str] | None = case.opened("a")
    waiting = enqueued(case.pool)
    assert not case.pool.admits(waiting)
    del lease
    assert case.pool.admits(waiting)
    assert case.pool.acquire(waiting) is None
    assert case.pool.surplus() == ["a"]


def test_releasing_or_discarding_a_second_time_does_nothing() -> None:
    case = Case()
    lease = case.opened("a")
    case.pool.release(lease)
    case.pool.release(lease)
    case.pool.discard(lease)
    assert case.acquire() == "a"
    assert case.acquire() is None


def test_a_closed_pool_admits_each_lease_and_keeps_no_connection() -> None:
    case = Case(1)
    case.kept("a")
    used = enqueued(case.pool)
    assert case.pool.acquire(used) == "a"
    woken: list[bool] = []
    waiting = enqueued(case.pool, lambda: woken.append(True))
    assert not case.pool.admits(waiting)
    assert case.pool.close() == ["a"]
    assert woken == [True]
    assert case.pool.admits(waiting)
    case.pool.opened(waiting, "b")
    case.pool.release(used)
    case.pool.release(waiting)
    assert case.pool.surplus() == ["a", "b"]
    assert case.pool.close() == []


class Struck(BaseException):
    """What a signal handler raises."""


def interrupted_at(line: int, run: Callable[[], object]) -> bool:
    """Raise `Struck` at the given traced line of the pool; false where `run` has fewer lines."""
    left = [line]

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.endswith("hestiaos_proto/_pool.py"):
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                raise Struck
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except Struck:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("end", ["release", "discard"])
@pytest.mark.parametrize("kept", [[], ["a"], ["a", "b"]])
def test_an_interrupt_at_any_line_loses_no_place_and_no_connection(kept: list[str], end: str) -> None:
    line, struck = 0, True
    while struck:
        line += 1
        case = Case(2, 1)
        case.kept(*kept)
        case.pool.surplus()

        def exchange(case: Case = case) -> None:
            lease = enqueued(case.pool)
            case.pool.admits(lease)
            if case.pool.acquire(lease) is None:
                case.pool.opened(lease, "new")
            getattr(case.pool, end)(lease)
            case.pool.surplus()

        struck = interrupted_at(line, exchange)
        leases = [enqueued(case.pool) for _ in range(2)]
        assert all(case.pool.admits(lease) for lease in leases)
        held = [case.pool.acquire(lease) for lease in leases]
        assert len([each for each in held if each is not None]) <= 1
        case.pool.surplus()
        assert len(case.pool._owners) + len(case.pool._idle) == len([each for each in held if each is not None])
    assert line > 20


def test_a_connection_that_an_interrupt_kept_from_its_lease_is_closed() -> None:
    surplus = []
    for line in 1, 2, 3:  # before it is opened, before the lease has it, and after that
        case = Case()
        lease = enqueued(case.pool)
        assert interrupted_at(line, partial(case.pool.opened, lease, "new")) is (line < 3)
        case.pool.discard(lease)
        surplus.append(case.pool.surplus())
        assert case.pool.close() == []
    assert surplus == [[], ["new"], []]


def test_threads_never_share_a_connection_nor_lose_a_place() -> None:
    case = Case(3, 2)
    in_use: set[str] = set()
    faults: list[str] = []
    names = iter(map(str, range(1_000_000)))

    def exchange(count: int) -> None:
        for number in range(count):
            woken: SimpleQueue[None] = SimpleQueue()
            lease = enqueued(case.pool, lambda woken=woken: woken.put(None))
            while not case.pool.admits(lease):
                woken.get(timeout=10)
            connection = case.pool.acquire(lease)
            if connection is None:
                case.pool.opened(lease, connection := next(names))
            if connection in in_use:
                faults.append(f"{connection} is handed out twice")
            in_use.add(connection)
            if len(in_use) > 3:
                faults.append("too many at once")
            in_use.discard(connection)
            (case.pool.discard if number % 5 == 0 else case.pool.release)(lease)
            case.pool.surplus()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=exchange, args=(300,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert faults == []
    assert len(case.pool._leases) == 0
    assert len(case.pool._idle) + len(case.pool._owners) <= 3


def test_a_connection_that_another_thread_took_and_gave_up_meanwhile_is_passed_over() -> None:
    def usable(connection: str) -> bool:
        if connection == "b":  # the other thread comes between
            other = enqueued(pool)
            assert pool.acquire(other) == "a"
            pool.discard(other)
        return connection == "a"

    pool: ConnectionPool[str] = ConnectionPool(None, None, usable=usable)
    for lease, connection in [(enqueued(pool), connection) for connection in "ab"]:
        pool.opened(lease, connection)
        pool.release(lease)
    assert pool.acquire(enqueued(pool)) is None
    assert pool.surplus() == ["b"]


@pytest.mark.parametrize("gives_up", [False, True])
def test_after_one_that_another_thread_took_an_older_one_is_acquired(gives_up: bool) -> None:
    others: list[Lease[str]] = []

    def usable(connection: str) -> bool:
        if connection == "c":  # the other thread comes between
            others.append(enqueued(pool))
            assert pool.acquire(others[0]) == "b"
            if gives_up:
                pool.discard(others[0])
        return connection != "c"

    pool: ConnectionPool[str] = ConnectionPool(None, None, usable=usable)
    for lease, connection in [(enqueued(pool), connection) for connection in "abc"]:
        pool.opened(lease, connection)
        pool.release(lease)
    assert pool.acquire(enqueued(pool)) == "a"


class Noticed:
    """A connection at whose `turn`th use as a key something is done, as by another thread in the middle of a step."""

    def __init__(self, turn: int, then: Callable[[], object]) -> None:
        self.left, self._then = turn, then

    def __hash__(self) -> int:
        self.left -= 1
        if self.left == 0:
            self._then()
        return id(self)


@pytest.mark.parametrize("dropped", [False, True])
def test_threads_that_look_for_what_is_surplus_at_once_do_not_disturb_each_other(dropped: bool) -> None:
    turn, over = 0, False
    while not over:
        turn += 1
        pool: ConnectionPool[Noticed] = ConnectionPool(2, 0, usable=lambda _: True)
        found: list[Noticed] = []
        lease = enqueued(pool)
        connection = Noticed(10**9, lambda pool=pool, found=found: found.extend(pool.surplus()))
        pool.opened(lease, connection)
        if dropped:
            del lease
        else:
            pool.release(lease)
        connection.left = turn
        found += pool.surplus()
        over = connection.left > 0
        assert set(map(id, found)) == {id(connection)}
        assert pool.surplus() == []
        assert not pool._owners
        assert all(pool.admits(enqueued(pool)) for _ in range(2))
    assert turn > 1


def test_a_dropped_lease_is_forgotten_by_whatever_comes_first() -> None:
    case = Case(1)
    for _ in range(3):
        lease: Lease[str] | None = case.opened("a")
        del lease
        assert case.pool.surplus() == ["a"]
    assert (case.pool._dropped, case.pool._leases, case.pool._owners) == ({}, {}, {})
    assert case.pool.admits(enqueued(case.pool))


def test_no_lease_owns_what_is_being_removed() -> None:
    assert _RETIRED < 0 <= Lease(nothing)._key


def test_a_connection_that_another_thread_takes_meanwhile_is_not_surplus() -> None:
    taken: list[Lease[str]] = []
    connections = ["a", "b"]

    def usable(connection: str) -> bool:
        if connection == "a" and not taken:  # the other thread comes between
            taken.append(enqueued(pool))
            assert pool.acquire(taken[0]) == "b"
            return False
        return taken[0].connection is None  # once it is taken it looks as if it could not be used

    pool: ConnectionPool[str] = ConnectionPool(None, None, usable=usable)
    leases = [enqueued(pool) for _ in connections]
    for lease, connection in zip(leases, connections, strict=True):
        pool.opened(lease, connection)
        pool.release(lease)
    assert pool.surplus() == ["a"]
    assert taken[0].connection == "b"
