"""A store copied into another: everything is there, the log is proven by the same heads, and both go on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import pytest

from hestiaos_local.governance import Charge, Limit, Reservation
from hestiaos_local.storage import (
    Approval,
    Claimed,
    Finished,
    InProgress,
    Outcome,
    Retention,
    Storage,
    Store,
    StoreError,
    copy_store,
    export_log,
    verify_log,
)
from tests.support.storages import postgres_url, python, trace

LIMIT = Limit(name="all", per="session", window=60.0, requests=3)
CHARGE = Charge(name="all", per="session", subject="s", limit=LIMIT)
Place = str


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """The place of an empty store of a kind; PostgreSQL has one."""
    numbers = count()
    with ExitStack() as stack:

        def place(kind: str) -> Place:
            if kind == "postgresql":
                return stack.enter_context(postgres_url())
            return str(tmp_path / f"{next(numbers)}.db")

        yield place


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HESTIAOS_STORE_KEY", raising=False)


def fill(store: Storage) -> None:
    for number in range(50):
        store.add_trace(trace(f"t{number}", "ALLOW" if number % 2 else "BLOCK", decided_at=float(number), text="é\0"))
        if number != 7:
            store.finish_trace(f"t{number}", Outcome("completed", output="x" * number))
    store.prune(Retention(max_count=45), now=0.0)
    store.add_messages("s", [{"content": "é"}, {"content": "\0"}], now=1.0)
    store.add_messages("t", [{"content": "other"}], now=2.0)
    store.set_secret("k", "v\0w", "vault")
    assert isinstance(store.reserve([CHARGE], now=100.0), Reservation)
    store.add_approval(Approval(id="a", call_hash="call", created_at=0.0, expires_at=60.0), now=0.0)
    store.decide_approval("a", True, by="alice", now=1.0)
    for key in ("finished", "claimed"):
        claimed = store.claim(key, "f", now=100.0, lease=60.0)
        assert isinstance(claimed, Claimed)
        if key == "finished":
            store.finish(key, claimed.token, {"n": 1})


def check(store: Storage, source: Storage) -> None:
    """That a store has what another has."""
    assert list(export_log(store)) == list(export_log(source))
    assert store.traces() == source.traces()
    assert store.decisions() == source.decisions() == {"ALLOW": 25, "BLOCK": 25}
    assert store.sessions() == source.sessions()
    assert store.messages("s") == [{"content": "é"}, {"content": "\0"}]
    assert (store.secret("k"), store.secret_names()) == ("v\0w", ["k"])
    assert [use.requests for use in store.usage([LIMIT], now=100.0)] == [1]
    assert store.approvals(now=2.0) == source.approvals(now=2.0)
    assert store.claim("finished", "f", now=101.0, lease=1.0) == Finished({"n": 1})
    assert isinstance(store.claim("claimed", "f", now=101.0, lease=1.0), InProgress)


def use(store: Storage) -> None:
    """Go on with a copy."""
    heads = verify_log(store).heads
    assert store.finish_trace("t7", Outcome("failed")) is True
    store.add_trace(trace("new"))
    assert store.traces(limit=1)[0].trace_id == "new"
    assert verify_log(store, known=heads).ok
    store.add_messages("s", [{"content": "next"}], now=3.0)
    assert [each["content"] for each in store.messages("s")] == ["é", "\0", "next"]
    assert store.use_approval("call", now=2.0) is not None
    store.add_approval(Approval(id="b", call_hash="other", created_at=0.0, expires_at=60.0), now=0.0)
    assert isinstance(store.claim("new", "f", now=101.0, lease=1.0), Claimed)
    assert [isinstance(store.reserve([CHARGE], now=100.0), Reservation) for _ in range(3)] == [True, True, False]
    assert store.prune(Retention(max_count=1), now=101.0) == 45 + 1 + 1
    assert verify_log(store, known=heads).ok


@pytest.mark.parametrize(
    ("source", "target"), [("sqlite", "sqlite"), ("sqlite", "postgresql"), ("postgresql", "sqlite")]
)
def test_everything_is_copied(source: str, target: str, places: Callable[[str], Place]) -> None:
    first, second = places(source), places(target)
    told: dict[str, int] = {}
    with closing(Store(first)) as store:
        fill(store)
        copied = copy_store(first, second, on_progress=told.__setitem__)
        heads = verify_log(store).heads
        assert copied["log"] == 89
        assert copied.items() <= told.items()
        assert {name: copied[name] for name in ("traces", "sessions", "messages", "results", "secrets")} == {
            "traces": 45,
            "sessions": 2,
            "messages": 3,
            "results": 2,
            "secrets": 1,
        }
        with closing(Store(second)) as copy:
            assert verify_log(copy, known=heads).ok
            check(copy, store)
            use(copy)


def test_there_and_back_again(places: Callable[[str], Place]) -> None:
    first, second, third = places("sqlite"), places("postgresql"), places("sqlite")
    with closing(Store(first)) as store:
        fill(store)
        copy_store(first, second)
        copy_store(second, third)
        with closing(Store(third)) as copy:
            check(copy, store)
            use(copy)


def test_chains_of_several_workers_in_one_file(places: Callable[[str], Place]) -> None:
    first, second = places("postgresql"), places("sqlite")
    psycopg = pytest.importorskip("psycopg")
    with closing(Store(first)) as store, psycopg.connect(first, options="-csearch_path=hestiaos") as other:
        for number in range(6):
            store.add_trace(trace(str(number)))
            if number == 2:
                other.execute("SELECT * FROM chain FOR UPDATE")
        heads = verify_log(store).heads
        assert len(heads) == 2
        copy_store(first, second)
    with closing(Store(second)) as copy:
        assert verify_log(copy, known=heads).ok
        copy.add_trace(trace("new"))
        assert [each.trace_id for each in copy.traces()] == ["new", "5", "4", "3", "2", "1", "0"]
        assert copy.prune(Retention(max_count=2), now=0.0) == 5
        assert verify_log(copy, known=heads).ok


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_store_that_is_not_empty_is_left_as_it_is(target: str, places: Callable[[str], Place]) -> None:
    first = places("sqlite")
    with closing(Store(first)) as store:
        fill(store)
    second = places(target)
    with closing(Store(second)) as store:
        store.set_secret("mine", "v", "vault")
        store.add_trace(trace("mine"))
        with pytest.raises(StoreError, match="is not empty: name another store, or replace what is in it"):
            copy_store(first, second)
        assert (store.secret_names(), len(store.traces())) == (["mine"], 1)
        copy_store(first, second, replace=True)
        assert store.secret_names() == ["k"]
        assert store.trace("mine") is None
        assert verify_log(store).ok


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_encrypted_secrets_are_copied_as_they_are(
    target: str, places: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography")
    first = places("sqlite")
    with closing(Store(first, key="of the first")) as store:
        store.set_secret("k", "value", "vault")
    second = places(target)
    Store(second, key="of the second").close()
    copy_store(first, second)
    with closing(Store(second, key="of the first")) as store:
        assert store.secret("k") == "value"
    with closing(Store(second, key="of the second")) as store, pytest.raises(StoreError, match="is not the key"):
        store.secret("k")


def test_a_copy_that_fails_leaves_nothing(places: Callable[[str], Place]) -> None:
    first, second = places("sqlite"), places("sqlite")
    with closing(Store(first)) as store:
        fill(store)

    def interrupt(table: str, rows: int) -> None:
        if table == "messages":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_store(first, second, on_progress=interrupt)
    with closing(Store(second)) as store:
        assert (store.decisions(), store.sessions()) == ({}, [])
        assert verify_log(store).head.number == 0


MEMORY = """
import sys
from hestiaos_local.storage import copy_store
from tests.support.measures import peak
copy_store(sys.argv[1], sys.argv[2])
print(peak() // 1024**2)
"""


@pytest.mark.broad
@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_memory_does_not_grow_with_the_store(target: str, places: Callable[[str], Place]) -> None:
    peaks = []
    for size in (10, 200_000):  # 20 MB of records at last
        first, second = places("sqlite"), places(target)
        with closing(Store(first)) as store:
            for number in range(100):
                store.add_trace(trace(str(number), text="x" * size))
        process = python(MEMORY, first, second)
        told, _ = process.communicate()
        assert process.returncode == 0, told
        peaks.append(int(told))
        if target == "postgresql":
            copy_store(places("sqlite"), second, replace=True)
    assert peaks[1] - peaks[0] < 20


def test_a_source_that_is_used_is_copied_as_it_is_at_one_moment(places: Callable[[str], Place]) -> None:
    first, second = places("sqlite"), places("sqlite")
    with closing(Store(first)) as store:
        fill(store)

        def add(table: str, rows: int) -> None:
            store.add_trace(trace(os.urandom(4).hex()))

        copy_store(first, second, on_progress=add)
        with closing(Store(second)) as copy:
            assert verify_log(copy).ok
            assert sum(copy.decisions().values()) == 50
