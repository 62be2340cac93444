"""Limits are charged in one transaction: all that a call takes, or nothing, however many ask at once."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from math import inf
from pathlib import Path

from attrs import evolve

from hestiaos_local.governance import Bucket, Charge, CounterUse, Exhausted, Limit, Reservation
from hestiaos_local.storage import Retention, Storage, Store

PER_KEY = Limit(name="per key", per="key", window=60.0, requests=3, tokens=100)
ALL = Limit(name="all", per="all", window=60.0, requests=5)


def charges(key: str = "a", tokens: int = 0) -> list[Charge]:
    return [
        Charge(name="per key", per="key", subject=key, limit=PER_KEY, tokens=tokens),
        Charge(name="all", per="all", subject="", limit=ALL),
    ]


def reserve(storage: Storage, key: str = "a", tokens: int = 0, now: float = 100.0) -> Reservation:
    reservation = storage.reserve(charges(key, tokens), now=now)
    assert isinstance(reservation, Reservation)
    return reservation


def used(storage: Storage, now: float = 100.0) -> dict[tuple[str, str], tuple[int, int]]:
    return {(use.limit, use.subject): (use.requests, use.tokens) for use in storage.usage([PER_KEY, ALL], now=now)}


def test_each_limit_is_charged(storage: Storage) -> None:
    reservation = reserve(storage, tokens=40)
    assert reservation.used == (
        CounterUse("per key", "key", "a", 60.0, 1, 3, 40, 100),
        CounterUse("all", "all", "", 60.0, 1, 5, 0, None),
    )
    reserve(storage, "b", tokens=7)
    assert used(storage) == {("per key", "a"): (1, 40), ("per key", "b"): (1, 7), ("all", ""): (2, 0)}


def test_a_limit_without_room_charges_none(storage: Storage) -> None:
    for _ in range(3):
        reserve(storage)
    before = used(storage)
    exhausted = storage.reserve(charges(), now=130.0)
    assert isinstance(exhausted, Exhausted)
    assert (exhausted.limit, exhausted.retry_after) == ("per key", 31.0)
    assert [use.requests for use in exhausted.used] == [3, 3]
    assert used(storage) == before
    reserve(storage, "b")
    reserve(storage, "b")
    exhausted = storage.reserve(charges("c"), now=100.0)
    assert isinstance(exhausted, Exhausted)
    assert exhausted.limit == "all"


def test_room_comes_as_soon_as_enough_has_left_the_window(storage: Storage) -> None:
    limit = Limit(name="all", per="all", window=60.0, tokens=100)

    def ask(tokens: int, now: float) -> Reservation | Exhausted:
        return storage.reserve([Charge(name="all", per="all", subject="", limit=limit, tokens=tokens)], now=now)

    for tokens, now in [(50, 100.0), (30, 110.0), (20, 120.0)]:
        assert isinstance(ask(tokens, now), Reservation)
    waits = {
        tokens: answer.retry_after
        for tokens in (1, 50, 51, 80, 81)
        if isinstance(answer := ask(tokens, 130.0), Exhausted)
    }
    assert waits == {1: 31.0, 50: 31.0, 51: 41.0, 80: 41.0, 81: 51.0}


def test_tokens_that_were_not_used_are_free_again(storage: Storage) -> None:
    first = reserve(storage, tokens=100)
    assert isinstance(storage.reserve(charges(tokens=1), now=100.0), Exhausted)
    storage.settle(first, tokens=30)
    assert used(storage)["per key", "a"] == (1, 30)
    storage.settle(reserve(storage, tokens=70), tokens=70)
    assert isinstance(storage.reserve(charges(tokens=1), now=100.0), Exhausted)


def test_tokens_beyond_what_was_reserved_count(storage: Storage) -> None:
    storage.settle(reserve(storage, tokens=10), tokens=150)
    assert used(storage)["per key", "a"] == (1, 150)
    assert isinstance(storage.reserve(charges(), now=100.0), Exhausted)


def test_a_reservation_that_is_never_settled_runs_out(storage: Storage) -> None:
    reserve(storage, tokens=100)
    exhausted = storage.reserve(charges(tokens=1), now=150.0)
    assert isinstance(exhausted, Exhausted)
    reserve(storage, tokens=100, now=150.0 + exhausted.retry_after)


def test_a_call_that_is_settled_after_its_window_changes_nothing(storage: Storage) -> None:
    first = reserve(storage, tokens=100)
    reserve(storage, tokens=60, now=200.0)
    storage.settle(first, tokens=1)
    assert used(storage, now=200.0)["per key", "a"] == (1, 60)


def test_a_call_that_is_settled_after_its_limit_was_given_another_window_changes_nothing(storage: Storage) -> None:
    first = reserve(storage, tokens=10)
    longer = evolve(PER_KEY, window=120.0)
    storage.reserve([evolve(charges(tokens=60)[0], limit=longer)], now=100.0)
    storage.settle(first, tokens=1)
    assert [(use.requests, use.tokens) for use in storage.usage([longer], now=100.0)] == [(1, 60)]


def test_a_call_of_more_than_the_limit_never_has_room(storage: Storage) -> None:
    exhausted = storage.reserve(charges(tokens=101), now=100.0)
    assert isinstance(exhausted, Exhausted)
    assert exhausted.retry_after == inf


def test_a_bucket(storage: Storage) -> None:
    bucket = Charge(name="slow", per="rule", subject="", limit=Bucket(2, 8.0))
    admitted = [isinstance(storage.reserve([bucket], now=100.0), Reservation) for _ in range(3)]
    assert admitted == [True, True, False]
    exhausted = storage.reserve([bucket], now=101.0)
    assert exhausted == Exhausted("slow", 3.0, (CounterUse("slow", "rule", "", 8.0, 2, 2),))
    assert isinstance(storage.reserve([bucket], now=104.0), Reservation)


def test_a_bucket_is_kept_until_it_has_drained(storage: Storage) -> None:
    bucket = Charge(name="slow", per="rule", subject="", limit=Bucket(2, 8.0))
    for _ in range(2):
        assert isinstance(storage.reserve([bucket], now=100.0), Reservation)
    reserve(storage, now=100.0)  # what does not count any more is deleted then
    assert isinstance(storage.reserve([bucket], now=100.0), Exhausted)
    reserve(storage, now=107.0)
    assert storage.reserve([bucket], now=107.0).used == (CounterUse("slow", "rule", "", 8.0, 2, 2),)


def test_a_bucket_whose_clock_is_behind_drains_later_unless_it_was_set_back(storage: Storage) -> None:
    bucket = Charge(name="slow", per="rule", subject="", limit=Bucket(2, 8.0))
    for _ in range(2):
        storage.reserve([bucket], now=108.0)
    refused = [storage.reserve([bucket], now=now) for now in (108.0, 104.0, 100.0, 99.0)]
    assert [each.retry_after for each in refused if isinstance(each, Exhausted)] == [4.0, 8.0, 12.0, 4.0]


def test_without_charges_there_is_room(storage: Storage) -> None:
    assert storage.reserve([], now=100.0) == Reservation()


def test_each_window_has_a_counter_of_its_own(storage: Storage) -> None:
    """As while some processes have read a policy anew, and others have not."""
    first = reserve(storage, tokens=60)
    longer = Limit(name="per key", per="key", window=3600.0, tokens=100)
    charge = Charge(name="per key", per="key", subject="a", limit=longer, tokens=100)
    second = storage.reserve([charge], now=100.0)
    assert isinstance(second, Reservation)
    storage.settle(first, tokens=50)
    assert isinstance(storage.reserve([charge], now=100.0), Exhausted)
    storage.settle(second, tokens=40)
    assert [(use.window, use.tokens) for use in storage.usage([PER_KEY, longer], now=100.0)] == [
        (60.0, 50),
        (3600.0, 40),
    ]


def test_what_is_settled_after_its_window_leaves_no_counter(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    with closing(Store(file)) as store:
        first = reserve(store, tokens=60)
        with closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("DELETE FROM counters")
            store.settle(first, tokens=1)
            assert db.execute("SELECT count(*) FROM counters").fetchone() == (0,)


def test_a_clock_that_is_a_window_behind_counts_and_one_further_was_set_back(storage: Storage) -> None:
    reserve(storage, now=1060.0)
    assert [use.requests for use in reserve(storage, now=1000.0).used] == [2, 2]
    assert [use.requests for use in reserve(storage, now=999.0).used] == [1, 1]


def test_of_many_threads_as_many_are_admitted_as_there_is_room(storage: Storage) -> None:
    limit = Limit(name="all", per="all", window=60.0, requests=50, tokens=10_000)
    charge = Charge(name="all", per="all", subject="", limit=limit, tokens=10)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: storage.reserve([charge], now=100.0), range(100)))
    assert sum(isinstance(answer, Reservation) for answer in answers) == 50


def test_counters_of_which_nothing_counts_are_deleted(tmp_path: Path) -> None:
    file = tmp_path / "store.db"

    def rows() -> int:
        with closing(sqlite3.connect(file)) as db:
            count: int = db.execute("SELECT count(*) FROM counters").fetchone()[0]
        return count

    session = Limit(name="session", per="session", window=60.0, requests=3)
    with closing(Store(file)) as store:
        for number in range(100):
            charge = Charge(name="session", per="session", subject=f"s{number}", limit=session)
            assert isinstance(store.reserve([charge], now=100.0 + number), Reservation)
        assert rows() == 61
        reserve(store, now=1000.0)
        assert rows() <= 61 - 10 + 2
        store.prune(Retention(max_count=0), now=160.0)
        assert used(store, now=1000.0) == {("per key", "a"): (1, 0), ("all", ""): (1, 0)}
